/**
 * Which runs of control this data comes from: that tells data which is an older copy from data that holds all that was told.
 * A run is named `EPOCH-RUN-BEGAN-MAKER`: of its epoch, at which revision it began, and in which run that was made, so that one
 * that this data does not know is known for what it began with. An operator who accepts older data gives up all that was told
 * beside it, and begins an epoch.
 */
import { randomBytes } from 'node:crypto';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import type { Memory } from './memory.ts';
import { keepRevision } from './meshes.ts';
import { olderDataAccepted, olderDataGivenUp } from './older-data.ts';
import type { Compared, Heard, NetworkState } from './types.ts';

/**
 * Kept of the epoch that goes on, and as many that were given up. Of an agent that was away for more starts of control than this,
 * only what it heard since the oldest of them is told apart.
 */
const MOST_RUNS = 1_000;

/** A run begins where its data stands. Whoever accepts that no more was told before gives up what other runs told. */
export function beginRun(memory: Memory, draft: Draft, acceptOlderData: boolean): Outcome<string> {
  const { runs, state } = memory;
  const going = [...runs].filter(([, { givenUp }]) => !givenUp);
  const given = [...runs].filter(([, { givenUp }]) => givenUp);
  const last = going.at(-1)?.[0] ?? '';
  const over = going.slice(0, acceptOlderData ? -1 : Math.max(0, going.length + 1 - MOST_RUNS));
  for (const [timeline] of [...over, ...given.slice(0, Math.max(0, given.length + 1 - MOST_RUNS))]) {
    draft.writes.push({ write: 'removeRun', row: { timeline } });
  }
  const begins = (epoch: string): Outcome<string> => {
    const maker = acceptOlderData ? undefined : going.findLast(([, { revision }]) => revision < state.revision)?.[0];
    const timeline = [epoch, randomBytes(8).toString('hex'), state.revision, runOf(maker ?? '')].join('-');
    draft.writes.push({ write: 'putRun', row: { timeline, revision: state.revision, givenUp: false } });
    return { answer: timeline };
  };
  if (!acceptOlderData) return begins(epochOf(last));
  if (last !== '') giveUp(draft, last, state.revision);
  const begun = begins(randomBytes(4).toString('hex'));
  return { ...begun, networks: raised(memory, draft, draft.revision), act: olderDataAccepted(state.revision) };
}

/**
 * Whether this data holds all that was told in that run up to that revision; `given-up` where it does not, and an operator said
 * that this data is what counts. What a run told ends where the next began.
 */
export function compare(memory: Memory, { timeline, revision }: Heard): Compared {
  const { runs, state } = memory;
  const [, , began = '', maker = ''] = timeline.split('-');
  if (!runs.has(timeline) && maker !== '' && revision <= Number(began)) {
    // Control was started again on data that is all here, and has told no more.
    const made = [...runs.keys()].find((run) => runOf(run) === maker);
    if (made !== undefined) return compare(memory, { timeline: made, revision: Number(began) });
  }
  const epoch = epochOf(timeline);
  let ended = !runs.has(timeline);
  let isOurs: boolean = false;
  for (const [run, { revision: until, givenUp }] of runs) {
    if (givenUp && epochOf(run) === epoch) return revision <= until ? 'known' : 'given-up';
    if (givenUp || epochOf(run) !== epoch) continue;
    if (ended) return revision <= until ? 'known' : 'newer';
    isOurs = true;
    ended = run === timeline;
  }
  return isOurs && revision <= state.revision ? 'known' : 'newer';
}

/** All networks go on under numbers that nobody has heard yet, at once, and what that epoch told up to there is given up. */
export function numberOn(memory: Memory, draft: Draft, host: string, heard: Heard): Outcome<undefined> {
  const nothing = { answer: undefined };
  if (compare(memory, heard) === 'known') return nothing;
  const epoch = epochOf(heard.timeline);
  const alike = [...memory.runs].find(([run]) => epochOf(run) === epoch);
  if (alike !== undefined && !alike[1].givenUp) {
    throw new StateError('older-data', "control's data was replaced while it ran; start weft-control again");
  }
  giveUp(draft, alike?.[0] ?? heard.timeline, heard.revision);
  const networks = raised(memory, draft, Math.max(draft.revision, heard.revision + 1));
  return { ...nothing, networks, act: olderDataGivenUp(host, heard.revision) };
}

function giveUp({ writes }: Draft, timeline: string, revision: number): void {
  writes.push({ write: 'putRun', row: { timeline, revision, givenUp: true } });
}

/** A number that was seen may have been of another mesh, so each mesh counts as changed. */
function raised({ state }: Memory, { writes, nowMs }: Draft, revision: number): NetworkState[] {
  return Array.from(state.networks.values(), (network) => {
    const { name, mesh, origins, meshRevision } = network;
    const detail = `as of revision ${meshRevision}: older data was accepted`;
    const changes = [{ operation: 'change', subject: `network ${name}`, detail }] as const;
    keepRevision(mesh, origins, changes, { revision, writes, nowMs });
    return { ...network, revision, meshRevision: revision };
  });
}

function runOf(timeline: string): string {
  return timeline.split('-')[1] ?? '';
}

function epochOf(timeline: string): string {
  return timeline.slice(0, Math.max(0, timeline.indexOf('-')));
}
