import { agentService, type pb } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Feed } from './feed.ts';
import { type AgentCall, Session, type SessionEvents } from './session.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const happened: string[] = [];
  const call: AgentCall = {
    peer: '127.0.0.1:5',
    send: () => undefined,
    pause: () => happened.push('pause'),
    resume: () => happened.push('resume'),
    finish: (_code, details) => happened.push(details),
  };
  const events: SessionEvents = {
    hello: () => undefined,
    heard: () => undefined,
    ack: () => undefined,
    report: () => undefined,
    flows: () => undefined,
    telemetry: () => undefined,
    resync: () => undefined,
    ended: () => undefined,
  };
  const session = new Session(call, { events, now: Date.now, helloMs: 5_000, farewellMs: 1_000 });
  session.admit('ag_1', { close: () => undefined } as unknown as Feed);
  return { session, happened };
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
