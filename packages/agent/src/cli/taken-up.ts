/** How far the agents are with a change, for who made it. */
import { END_SECONDS } from '@weft/proto';
import { printable, type Terminal } from './terminal.ts';

/** Undefined when all that are connected enforce it. `within` is how long was waited, such as 10s. */
export function stragglersSentence(
  revision: number,
  stragglers: readonly string[],
  within: string,
): string | undefined {
  if (stragglers.length === 0) return undefined;
  return (
    `revision ${revision} is accepted, but not enforced within ${within} by: ${stragglers.join(', ')}. ` +
    'It reaches them when they answer again; weft agents shows how far each is'
  );
}

/** Undefined when all that enforce it have it on their disks too. */
export function notKeptSentence(revision: number, notKept: readonly string[]): string | undefined {
  if (notKept.length === 0) return undefined;
  return (
    `revision ${revision} is enforced, but not kept by: ${notKept.join(', ')}. ` +
    'They cannot write it to their disk: started again without control, they would serve nothing until they hear it, or, where their disk ' +
    'takes no write at all, permit what was permitted before; weft agents shows which'
  );
}

/** The end stands, whoever has not taken it up: a note, and no failure. */
export function noteTakenUp(
  terminal: Terminal,
  revision: number,
  stragglers: readonly string[],
  notKept: readonly string[],
): void {
  const sentences = [stragglersSentence(revision, stragglers, `${END_SECONDS}s`), notKeptSentence(revision, notKept)];
  for (const sentence of sentences) if (sentence !== undefined) terminal.err(`${printable(`note: ${sentence}`)}\n`);
}
