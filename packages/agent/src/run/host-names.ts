/** Names that control gives hosts: this one's is kept on disk where it is another than before, and all are told in records from then on. */
import type { Logger } from 'pino';
import type { FlowRecorder } from '../flows/recorder.ts';
import type { KeptMembership } from '../member/membership.ts';
import type { Netmap } from '../words/netmap.ts';

/** What to do at each new netmap. */
export function hostNames({
  kept,
  recorder,
  logger,
}: {
  readonly kept: Pick<KeptMembership, 'current' | 'keep'>;
  readonly recorder: Pick<FlowRecorder, 'renamed' | 'follow'>;
  readonly logger: Logger;
}): (netmap: Pick<Netmap, 'self' | 'peers'>) => void {
  let known = kept.current.host;
  let peersKnown: Netmap['peers'] = new Map();
  let renamed: boolean = false;
  return ({ self, peers }) => {
    const told = {};
    const rename = (from: string, to: string, own: boolean) => {
      renamed = true;
      recorder.renamed(from, to, { told, own });
    };
    if (peers !== peersKnown) {
      for (const [id, { host }] of peers) {
        const former = peersKnown.get(id)?.host ?? host;
        if (former !== host) rename(former, host, false);
      }
      peersKnown = peers;
    }
    if (self === undefined) return;
    if (self.host !== known) {
      const former = known;
      known = self.host;
      rename(former, known, true);
      logger.info({ event: 'renamed', formerHost: former, host: known }, 'this host has another name');
      void kept.keep({ host: known });
    }
    if (renamed) recorder.follow(new Set([self.host, ...[...peers.values()].map(({ host }) => host)]));
  };
}
