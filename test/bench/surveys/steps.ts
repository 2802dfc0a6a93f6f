/** What becomes of an opening's times: the milliseconds of each step of one connection. */
import type { Opening } from './programs/record-openings.ts';

/** When a caller connected, was connected, and had the first byte of its answer: microseconds. */
export type Call = readonly [asked: number, connected: number, answered: number];

/** In the order they happen; each begins where the one before it ends. */
export const STEPS = [
  'accepted at the source, who calls',
  'verdict there',
  'an instance chosen',
  'OPEN to the destination',
  'verdict there, again',
  'its dial begun',
  'target dialled',
  'OPENED back at the source',
  'spliced, and told as open',
  'the first bytes there and back',
] as const;

/** By step, milliseconds of each connection. Steps whose ends are not known of a connection have none of it. */
export function stepTimes(openings: readonly Opening[], calls: readonly Call[]): readonly (readonly number[])[] {
  const destinations = new Map(openings.filter(({ end }) => end === 'destination').map((one) => [one.id, one]));
  const sources = openings.filter(({ end }) => end === 'source').sort((one, other) => one.begun - other.begun);
  const byStep: number[][] = STEPS.map(() => []);
  for (const source of sources) {
    const there = destinations.get(source.id);
    // One that nobody else was open beside belongs to the only call of that moment.
    const open = calls.filter(([asked, , answered]) => asked <= source.begun && source.begun <= answered);
    const [call] = open.length === 1 ? open : [];
    const marks = [
      call?.[0],
      source.begun,
      source.judged,
      source.chosen,
      there?.begun,
      there?.judged,
      there?.stepBegun,
      there?.stepEnded,
      source.stepEnded,
      source.ended,
      call?.[2],
    ];
    for (const [index, step] of byStep.entries()) {
      const [from, to] = [marks[index], marks[index + 1]];
      if (from !== undefined && to !== undefined) step.push((to - from) / 1_000);
    }
  }
  return byStep;
}
