import { FLOW_ID, type FlowRecord } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { PacedSink } from './paced-records.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const REFUSED: FlowRecord = {
  id: '',
  startedMs: 0,
  durationMs: 0,
  source: 'web',
  sourceHost: 'a',
  service: 'statsd',
  instance: '',
  destinationHost: '',
  port: 8_125,
  protocol: 'udp',
  verdict: 'deny',
  rule: 'no-web',
  revision: 1,
  outcome: 'denied',
  bytesSent: 0,
  bytesReceived: 0,
  zone: '',
  user: '',
  unit: '',
  program: '',
  detail: '',
};

function setUp() {
  const records: FlowRecord[] = [];
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const sink = new PacedSink(
    { record: (flow) => records.push(flow) },
    problems,
    (service) => !service.startsWith('x-'),
  );
  const told = () => records.splice(0).map(({ detail }) => detail);
  const tell = (flows: number, change: Partial<FlowRecord> = {}, from?: string) => {
    for (let count = 0; count < flows; count++) sink.record({ ...REFUSED, ...change }, from);
  };
  return { sink, problems, records, told, tell };
}

it('records each of a few that are refused, and the rest of a second by their number', () => {
  const { problems, told, tell } = setUp();
  tell(8);
  expect(told()).toHaveLength(8);
  expect(problems.current).toEqual([]);
  tell(9_992, { detail: 'why' });
  expect(told()).toEqual([]);
  expect(problems.current).toMatchObject([{ code: 'many-refusals', subject: 'udp' }]);
  vi.advanceTimersByTime(1_000);
  expect(told()).toEqual(['stands for 9992 like it: why']);
  vi.advanceTimersByTime(10_000);
  expect([told(), problems.current, vi.getTimerCount()]).toEqual([[], [], 0]);
  tell(1);
  expect(told()).toEqual(['']);
});

it('gives the record of a number an identifier of its own, for the other end may have told of the flow it is like', () => {
  const { records, tell } = setUp();
  tell(8, { id: '00000000000000aa' });
  for (const id of ['00000000000000bb', '00000000000000cc']) tell(1, { id });
  vi.advanceTimersByTime(1_000);
  expect(records.at(-1)?.detail).toBe('stands for 2 like it');
  expect(records.at(-1)?.id).toMatch(FLOW_ID);
  expect(records.at(-1)?.id).not.toMatch(/^0{14}(aa|bb|cc)$/);
});

it('tells with a number of flows the bytes of all of them: a service that answers nothing was sent some', () => {
  const { records, tell } = setUp();
  for (let bytesSent = 1; bytesSent <= 11; bytesSent++) {
    tell(1, { outcome: 'unanswered', verdict: 'allow', protocol: 'tcp', bytesSent }, '203.0.113.9');
  }
  vi.advanceTimersByTime(1_000);
  expect(records.map(({ bytesSent }) => bytesSent)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9 + 10 + 11]);
});

it('tells callers, services and outcomes apart, as many as there may be', () => {
  const { records, told, tell } = setUp();
  tell(9, { service: 'dns' });
  tell(9, { outcome: 'no-instance', verdict: 'allow' });
  tell(9, { sourceHost: 'b' });
  vi.advanceTimersByTime(1_000);
  expect(records.slice(-3).map(({ service, outcome, sourceHost }) => [service, outcome, sourceHost])).toEqual([
    ['dns', 'denied', 'a'],
    ['statsd', 'no-instance', 'a'],
    ['statsd', 'denied', 'b'],
  ]);
  told();
  // What a peer makes up is bounded too.
  for (let made = 0; made < 10_000; made++) tell(1, { source: `made-up-${made}` });
  vi.advanceTimersByTime(1_000);
  expect(told().filter(Boolean)).toEqual([`stands for ${10_000 - 32 - 8} like it`]);
});

it('takes refused TCP together by where it comes from, and lets nobody fill the records', () => {
  const { records, problems, told, tell } = setUp();
  const web = {
    protocol: 'tcp',
    source: 'internet',
    service: 'web',
    outcome: 'no-instance',
    verdict: 'allow',
  } as const;
  tell(1_000, { ...web, detail: 'client 203.0.113.9: no instance' }, '203.0.113.9');
  tell(1, web, '203.0.113.10');
  tell(1_000, { ...web, source: 'api', sourceHost: 'b', outcome: 'denied' }, 'agent-b');
  expect(told()).toHaveLength(8 + 1 + 8);
  expect(problems.current).toMatchObject([{ code: 'many-refusals', subject: 'tcp' }]);
  vi.advanceTimersByTime(1_000);
  expect(told()).toEqual(['stands for 992 like it: client 203.0.113.9: no instance', 'stands for 992 like it']);
  // From as many places as there may be.
  for (let host = 0; host < 5_000; host++) for (let again = 0; again < 4; again++) tell(1, web, `2001:db8:0:${host}`);
  vi.advanceTimersByTime(1_000);
  expect(records.length).toBeLessThan(200);
  const counts = records.map(({ detail }) => Number(/^stands for (\d+) like it$/.exec(detail)?.[1] ?? 1));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20_000);
});

it.each<[string, Partial<FlowRecord>]>([
  ['of TCP by a program of this host', { protocol: 'tcp' }],
  ['that was answered', { outcome: 'unreachable', bytesReceived: 1 }],
  ['that was idle', { outcome: 'closed', verdict: 'allow' }],
  ['that was cut', { outcome: 'cut' }],
])('holds no flow %s', (_which, change) => {
  const { told, tell } = setUp();
  tell(100, change);
  expect(told()).toHaveLength(100);
  expect(vi.getTimerCount()).toBe(0);
});

it('tells of what it holds when the agent stops, and holds nothing then', () => {
  const { sink, told, tell } = setUp();
  tell(20);
  sink.stop();
  expect(told().at(-1)).toBe('stands for 12 like it');
  tell(20);
  expect(told()).toHaveLength(20);
  expect(vi.getTimerCount()).toBe(1);
});

it("keeps a share for this host's own programs, whatever strangers fill", () => {
  const { problems, told, tell } = setUp();
  for (let caller = 0; caller < 40; caller++) tell(8, { protocol: 'tcp', source: 'internet' }, `192.0.2.${caller}`);
  told();
  tell(1, { detail: 'its own' });
  expect(told()).toEqual(['its own']);
  expect(problems.current).toMatchObject([{ subject: 'tcp' }]);
});

it('lets a peer hide neither its own refused calls nor those of others, whatever names it makes up', () => {
  const { records, tell } = setUp();
  const call = { protocol: 'tcp', source: 'host:b', sourceHost: 'b' } as const;
  const vault = { ...call, service: 'vault', rule: 'no-vault' };
  for (let peer = 0; peer < 8; peer++) {
    for (let name = 0; name < 140; name++) {
      tell(1, { ...call, service: `x-${name}`, rule: 'builtin:no-such-service' }, `agent-${peer}`);
    }
  }
  tell(20, vault, 'agent-0');
  tell(1, { ...vault, sourceHost: 'c' }, 'agent-c');
  vi.advanceTimersByTime(1_000);
  expect(standsFor(records, ({ service }) => service === 'vault')).toBe(21);
  expect(records.some(({ service, sourceHost }) => service === 'vault' && sourceHost === 'c')).toBe(true);
  expect(standsFor(records, ({ rule }) => rule === 'builtin:no-such-service')).toBe(8 * 140);
  expect(records.length).toBeLessThan(8 * 9 + 12);
});

it('tells of one peer no more numbers a second than it may, the rest in the next, and each for its rule and service alone', () => {
  const { records, tell } = setUp();
  const services = Array.from({ length: 100 }, (_, index) => `service-${index}`);
  for (const service of services) tell(10, { protocol: 'tcp', service, rule: `no-${service}` }, 'agent-b');
  expect(records.length).toBe(32);
  vi.advanceTimersByTime(1_000);
  expect(records.length).toBe(64);
  tell(1, { protocol: 'tcp', service: 'last', rule: 'no-last' }, 'agent-b');
  vi.advanceTimersByTime(10_000);
  for (const service of services) {
    const of = ({ rule, service: called }: FlowRecord) => called === service && rule === `no-${service}`;
    expect(standsFor(records, of)).toBe(10);
  }
  expect(vi.getTimerCount()).toBe(0);
});

/** Flows that records tell of, by their numbers. */
function standsFor(records: readonly FlowRecord[], which: (flow: FlowRecord) => boolean): number {
  const counts = records.filter(which).map(({ detail }) => Number(/^stands for (\d+) like it/.exec(detail)?.[1] ?? 1));
  return counts.reduce((sum, count) => sum + count, 0);
}
