/** How a spliced flow ended, in a record's words. The caller is side `a`, the service side `b`. */
import type { FlowOutcome } from '@weft/proto';
import type { SpliceResult } from '../bytes/splice.ts';

export function endingOf({ how, failedSide, cause }: SpliceResult): [outcome: FlowOutcome, detail: string] {
  if (how === 'closed') return ['closed', ''];
  const side = failedSide === 'b' ? 'the service' : 'the caller';
  return [how, `reset by ${side}${cause === undefined ? '' : `: ${cause.message}`}`];
}
