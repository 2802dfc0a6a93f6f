/** How a spliced flow ended, in a record's words. The caller is side `a`, the service side `b`. */
import type { FlowOutcome } from '@weft/proto';
import type { SpliceResult } from '../bytes/splice.ts';
import { TunnelEndedError } from '../tunnel/errors.ts';
import type { Flow } from './flow.ts';

/** The tunnel under a UDP flow closed it, or its end of the path did. */
export function endDatagrams(flow: Flow, cause: Error | undefined): void {
  if (!(cause instanceof TunnelEndedError)) {
    flow.end('closed');
    return;
  }
  flow.sever();
  flow.end('reset', cause.message);
}

export function endingOf({ how, failedSide, cause }: SpliceResult): [outcome: FlowOutcome, detail: string] {
  if (how === 'closed') return ['closed', ''];
  const side = failedSide === 'b' ? 'the service' : 'the caller';
  return [how, `reset by ${side}${cause === undefined ? '' : `: ${cause.message}`}`];
}
