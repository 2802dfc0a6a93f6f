/** The name that control gives this host: kept on disk where it is another than before, and told in records from then on. */
import type { Logger } from 'pino';
import type { FlowRecorder } from '../flows/recorder.ts';
import { type Enrolment, keepHost } from '../member/membership.ts';
import type { Netmap } from '../words/netmap.ts';

/** What to do at each new netmap. */
export function ownName({
  directory,
  member,
  recorder,
  logger,
}: {
  readonly directory: string;
  readonly member: Enrolment;
  readonly recorder: Pick<FlowRecorder, 'renamed'>;
  readonly logger: Logger;
}): (netmap: Netmap) => void {
  let known = member.membership.host;
  let keeping: Promise<void> = Promise.resolve();
  return ({ self }) => {
    if (self === undefined || self.host === known) return;
    const former = known;
    known = self.host;
    recorder.renamed(former, known);
    logger.info({ event: 'renamed', formerHost: former, host: known }, 'this host has another name');
    const host = known;
    keeping = keeping
      .then(() => keepHost(directory, member, host))
      .catch((err: unknown) => {
        logger.error({ event: 'identity-not-kept', err }, 'identity.json cannot be written');
      });
  };
}
