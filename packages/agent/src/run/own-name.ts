/** The name that control gives this host: kept on disk where it is another than before, and told in records from then on. */
import type { Logger } from 'pino';
import type { FlowRecorder } from '../flows/recorder.ts';
import type { KeptMembership } from '../member/membership.ts';
import type { Netmap } from '../words/netmap.ts';

/** What to do at each new netmap. */
export function ownName({
  kept,
  recorder,
  logger,
}: {
  readonly kept: Pick<KeptMembership, 'current' | 'keep'>;
  readonly recorder: Pick<FlowRecorder, 'renamed'>;
  readonly logger: Logger;
}): (netmap: Netmap) => void {
  let known = kept.current.host;
  return ({ self }) => {
    if (self === undefined || self.host === known) return;
    const former = known;
    known = self.host;
    recorder.renamed(former, known);
    logger.info({ event: 'renamed', formerHost: former, host: known }, 'this host has another name');
    void kept.keep({ host: known });
  };
}
