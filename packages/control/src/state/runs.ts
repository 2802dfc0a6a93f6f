/** Which runs of control this data comes from: that tells data which is an older copy from data that holds all that was told. */
import type { Draft, Outcome } from './draft.ts';
import { type Memory, requireNetwork } from './memory.ts';
import { olderDataAccepted } from './older-data.ts';
import type { Heard } from './types.ts';

/** Of an agent that was away for more starts of control than this, only what it heard since the oldest of them is told apart. */
const MOST_RUNS = 1_000;

/** A run begins where its data stands. Whoever accepts that no more was told before forgets what other runs may have. */
export function beginRun(
  { runs, state }: Memory,
  draft: Draft,
  timeline: string,
  acceptOlderData: boolean,
): Outcome<string> {
  const excess = acceptOlderData ? runs.size : Math.max(0, runs.size + 1 - MOST_RUNS);
  for (const over of [...runs.keys()].slice(0, excess)) {
    draft.writes.push({ write: 'removeRun', row: { timeline: over } });
  }
  draft.writes.push({ write: 'putRun', row: { timeline, revision: state.revision } });
  return { answer: timeline };
}

/** Whether this data holds all that was told in that run up to that revision. What a run told ends where the next began. */
export function knows({ runs, state }: Memory, { timeline, revision }: Heard): boolean {
  let ended = !runs.has(timeline);
  for (const [run, began] of runs) {
    if (ended) return revision <= began;
    ended = run === timeline;
  }
  return revision <= state.revision;
}

/** The network goes on under numbers that nobody has heard yet, and what other runs told up to there is given up. */
export function numberOn(memory: Memory, draft: Draft, name: string, newer: NewerData): Outcome<undefined> {
  const { host, revision: heard } = newer;
  const network = requireNetwork(memory, name);
  const run = [...memory.runs].at(-1);
  if (run === undefined) throw new Error('no run of control has begun');
  const [timeline, began] = run;
  const isAbove = network.revision > heard;
  if (isAbove && began >= heard) return { answer: undefined };
  const revision = isAbove ? memory.state.revision : Math.max(draft.revision, heard + 1);
  draft.writes.push({ write: 'putRun', row: { timeline, revision } });
  const act = { ...olderDataAccepted(host, heard), network: name };
  return { answer: undefined, act, ...(isAbove ? {} : { network: { ...network, revision } }) };
}

/** What a host proved to have heard, and this data does not hold. */
export interface NewerData {
  readonly host: string;
  readonly revision: number;
}
