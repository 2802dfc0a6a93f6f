import { type PlaceOutcome, type PlaceTry, type ReportedExposure, TRIES_PLACES, type TriedPlace } from '@weft/proto';
import { expect, test } from 'vitest';
import type { LiveAgent } from '../fleet/live.ts';
import { EMPTY_REPORT, withTries } from '../fleet/report.ts';
import type { State } from '../state/types.ts';
import { ExposureTries } from './exposure-tries.ts';
import { reportOf } from './fake-agent.fixture.ts';

const exposed = (address: string, port: number, more: Partial<ReportedExposure> = {}): ReportedExposure => {
  return { service: 'redis', protocol: 'tcp', address, port, program: '', closed: false, tries: [], ...more };
};

function live(endpoint: string, more: Partial<LiveAgent> = {}, report = {}): LiveAgent {
  return {
    connected: true,
    capability: TRIES_PLACES,
    observedHost: '',
    report: reportOf([], { endpoints: [endpoint], ...report }),
    ...more,
  } as LiveAgent;
}

function world(agents: Readonly<Record<string, LiveAgent>>) {
  const members = new Map(Object.keys(agents).map((id) => [id, { id, host: id }]));
  const current = { networks: new Map([['prod', { agents: members }]]) } as unknown as State;
  const asked: string[] = [];
  const told = new Map<string, readonly PlaceTry[]>();
  let answer: (from: string, places: readonly TriedPlace[]) => readonly PlaceOutcome[] | undefined = (_, places) =>
    places.map(() => 'answers');
  const clock = { now: 1_000 };
  const tries = new ExposureTries({
    state: { current },
    live: { agent: (id) => agents[id], instance: () => undefined },
    trier: {
      tryPlaces: (from, to, places) => {
        asked.push(`${from} ${to} ${places.map(({ address, port }) => `${address}:${port}`).join()}`);
        return Promise.resolve(answer(from, places));
      },
    },
    found: (id, found) => told.set(id, found),
    now: () => clock.now,
  });
  return { tries, asked, told, clock, answers: (now: typeof answer) => (answer = now) };
}

const wishing = {
  triedByPeers: true,
  exposed: [exposed('0.0.0.0', 6379), exposed('::', 6379), exposed('10.0.0.9', 1)],
};

test('three others try what is exposed, at the addresses of the host, and not again until it changes or ten minutes pass', async () => {
  const target = live('10.0.0.5:7410', {}, wishing);
  const { tries, asked, told, clock } = world({
    target,
    one: live('10.0.0.1:7410'),
    two: live('10.0.0.2:7410'),
    three: live('10.0.0.3:7410'),
    four: live('10.0.0.4:7410'),
  });
  await tries.look();
  expect(asked).toEqual(['one', 'two', 'three'].map((from) => `${from} target 10.0.0.5:6379`));
  expect(told.get('target')?.map(({ host, outcome }) => `${host} ${outcome}`)).toEqual([
    'one answers',
    'two answers',
    'three answers',
  ]);
  await tries.look();
  expect(asked).toHaveLength(3);
  clock.now += 600_000;
  await tries.look();
  expect(asked.slice(3).map((each) => each.split(' ')[0])).toEqual(['four', 'one', 'two']);
  Object.assign(target, {
    report: { ...target.report, exposed: wishing.exposed.map((each) => ({ ...each, closed: true })) },
  });
  await tries.look();
  expect(asked).toHaveLength(9);
});

test.each<[string, LiveAgent, LiveAgent]>([
  ['without the wish', live('10.0.0.5:7410', {}, { ...wishing, triedByPeers: false }), live('10.0.0.1:7410')],
  ['with nothing exposed', live('10.0.0.5:7410', {}, { ...wishing, exposed: [] }), live('10.0.0.1:7410')],
  ['by an older agent', live('10.0.0.5:7410', {}, wishing), live('10.0.0.1:7410', { capability: TRIES_PLACES - 1 })],
  ['by one on the same machine', live('10.0.0.5:7410', {}, wishing), live('10.0.0.5:7420')],
  ['by one that is away', live('10.0.0.5:7410', {}, wishing), live('10.0.0.1:7410', { connected: false })],
  ['at a name', live('data.example.com:7410', {}, wishing), live('10.0.0.1:7410')],
])('nothing is tried %s', async (_, target, other) => {
  const { tries, asked, told } = world({ target, other });
  await tries.look();
  expect([asked, [...told]]).toEqual([[], []]);
});

test('who has no way to it is passed over for others, and one that does not answer says nothing', async () => {
  const all = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`h${at}`, live(`10.0.1.${at}:7410`)]));
  const { tries, asked, told, answers } = world({ target: live('10.0.0.5:7410', {}, wishing), ...all });
  answers((from, places) => (from === 'h3' ? undefined : places.map(() => (from === 'h5' ? 'silent' : 'not-tried'))));
  await tries.look();
  expect(asked).toHaveLength(8);
  expect(told.get('target')?.map(({ host, outcome }) => `${host} ${outcome}`)).toEqual(['h5 silent']);
});

test('what answers is a problem of the service, by its place and who reached it; what is silent is none', () => {
  const one: PlaceTry = {
    host: 'web',
    address: '10.0.0.5',
    port: 6379,
    protocol: 'tcp',
    outcome: 'answers',
    timeMs: 1,
  };
  const report = { ...EMPTY_REPORT, triedByPeers: true, exposed: [exposed('0.0.0.0', 6379), exposed('0.0.0.0', 7000)] };
  const told = (tries: readonly PlaceTry[]) => withTries(report, tries);
  expect(told([one, { ...one, host: 'cache' }]).problems).toEqual([
    {
      code: 'exposed-reached',
      subject: 'redis',
      message:
        'redis is reached past Weft: 10.0.0.5:6379 answers web, cache, which needs no rule; let it listen on 127.0.0.1 alone, or close the port on that host: weft guard on',
    },
  ]);
  expect(told([one]).exposed.map(({ tries }) => tries.length)).toEqual([1, 0]);
  expect(told([{ ...one, outcome: 'silent' }]).problems).toEqual([]);
  // What the agent itself tells of it says so too.
  const problems = [{ code: 'exposed', subject: 'redis', message: 'redis may be reached past Weft' }];
  const said = (tries: readonly PlaceTry[]) => withTries({ ...report, problems }, tries).problems[0]?.message;
  expect(said([{ ...one, outcome: 'silent' }])).toBe(
    'redis may be reached past Weft; tried from web, nothing of it answers',
  );
  for (const outcome of ['answers', 'untold'] as const)
    expect(said([{ ...one, outcome }])).toBe('redis may be reached past Weft');
  expect(withTries({ ...report, triedByPeers: false }, [one])).toEqual({ ...report, triedByPeers: false });
});

test('what is told as closed is no more told as reached, though nobody is there to try it', async () => {
  const target = live('10.0.0.5:7410', {}, wishing);
  const one = live('10.0.0.1:7410');
  const { tries, asked, told } = world({ target, one });
  await tries.look();
  expect(told.get('target')).toHaveLength(1);
  Object.assign(one, { connected: false });
  await tries.look();
  expect(told.get('target')).toHaveLength(1);
  const closed = wishing.exposed.map((each) => ({ ...each, closed: true }));
  Object.assign(target, { report: { ...target.report, exposed: closed } });
  await tries.look();
  expect([told.get('target'), asked]).toEqual([[], [expect.stringContaining('one target')]]);
});
