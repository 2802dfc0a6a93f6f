import { agentService, flowBatchToWire, type pb } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { flow } from '../flows/flow.fixture.ts';
import { type AgentCall, AgentStream, type AgentStreamEvents } from './agent-stream.ts';
import type { Feed } from './feed.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const happened: string[] = [];
  const taken: number[] = [];
  const settle: (() => void)[] = [];
  const call: AgentCall = {
    peer: '127.0.0.1:5',
    send(sent, done) {
      if (!(sent instanceof Uint8Array) && sent.flowsTaken) taken.push(sent.flowsTaken.sequence ?? 0);
      done?.();
    },
    pause: () => happened.push('pause'),
    resume: () => happened.push('resume'),
    proved: () => undefined,
    finish: (_code, details) => happened.push(details),
  };
  const events: AgentStreamEvents = {
    hello: () => ({ accepted: false, refusal: { code: 0, details: '' } }),
    standing: () => undefined,
    heard: () => undefined,
    ack: () => undefined,
    report: () => undefined,
    flows: (_agentId, _batch, settled) => void settle.push(settled),
    telemetry: () => undefined,
    resync: () => undefined,
    ended: () => undefined,
  };
  const session = new AgentStream(call, { events, now: Date.now, helloMs: 5_000, farewellMs: 1_000 });
  session.admit('ag_1', { close: () => undefined } as unknown as Feed);
  return { session, happened, taken, settle };
}

function message(pairs: number, peers: number): pb.AgentMessage {
  const telemetry = { pairs: Array(pairs).fill({}), peers: Array(peers).fill({}) };
  return agentService.connect.requestDeserialize(agentService.connect.requestSerialize({ telemetry }));
}

test.each([
  ['pairs', message(2_000, 0)],
  ['peers', message(0, 2_000)],
])(
  'an agent that sends %s without end is read more slowly, and one that does so now and then is not',
  (_what, sent) => {
    const { session, happened } = setUp();
    for (let minute = 0; minute < 60; minute += 1) {
      session.receive(sent);
      vi.advanceTimersByTime(1_000);
    }
    expect(happened).toEqual([]);
    for (let count = 0; count < 200; count += 1) session.receive(sent);
    expect(happened).toEqual(['pause']);
    vi.advanceTimersByTime(10_000);
    expect(happened).toEqual(['pause', 'resume']);
  },
);

function batch(records: number, detail = '', sequence = 0): pb.AgentMessage {
  const flows = flowBatchToWire(Array<ReturnType<typeof flow>>(records).fill(flow(1, { detail })), 0, sequence);
  return agentService.connect.requestDeserialize(agentService.connect.requestSerialize({ flows }));
}

test('an agent of 4,000 flows a second is never slowed, also when it tells what it held back for long', () => {
  const { session, happened } = setUp();
  const client = 'client 203.0.113.200, a sentence on what became of it';
  for (let count = 0; count < 14; count += 1) session.receive(batch(1_000, client));
  for (let tenth = 0; tenth < 600; tenth += 1) {
    session.receive(batch(400, client));
    vi.advanceTimersByTime(100);
  }
  expect(happened).toEqual([]);
});

test.each([
  ['many records', batch(1_000), 20, 200],
  ['records of long texts', batch(1_000, 'x'.repeat(1_000)), 9, 300],
])('an agent that sends %s without end is slowed to what can be kept', (_what, sent, most, waitMs) => {
  const { session, happened } = setUp();
  for (let count = 0; count < most; count += 1) session.receive(sent);
  expect(happened).toEqual([]);
  for (let count = 0; count < 2; count += 1) session.receive(sent);
  expect(happened).toEqual(['pause']);
  vi.advanceTimersByTime(waitMs - 100);
  expect(happened).toEqual(['pause']);
  vi.advanceTimersByTime(1_000);
  expect(happened).toEqual(['pause', 'resume']);
});

test('a batch is taken when it is settled, and not before', () => {
  const { session, taken, settle } = setUp();
  for (const sequence of [1, 2, 3]) session.receive(batch(1, '', sequence));
  expect(taken).toEqual([]);
  settle[0]?.();
  expect(taken).toEqual([1]);
  settle[1]?.();
  settle[2]?.();
  expect(taken).toEqual([1, 2, 3]);
  // One that does not wait for answers makes control hold no more.
  for (let sequence = 4; sequence < 100; sequence += 1) session.receive(batch(1, '', sequence));
  for (const settled of settle.slice(3)) settled();
  expect(taken.at(-1)).toBe(19);
  session.receive(batch(1, '', 100));
  settle.at(-1)?.();
  expect(taken.at(-1)).toBe(100);
});
