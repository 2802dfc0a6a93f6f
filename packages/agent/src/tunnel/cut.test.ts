/** Tunnels that are cut at every byte of a record, by a reset and by an orderly end: flows end at both ends, and the next works. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Cut, Relay } from '../../../../test/harness/relay.ts';
import { Deadline } from '../bytes/deadline.ts';
import { FRAME_HEADER } from '../protocol/mux/types.ts';
import { TAG_LENGTH } from '../protocol/noise/cipher.ts';
import { HEADER_LENGTH } from '../protocol/record/format.ts';
import type { Conduit } from '../words/conduit.ts';
import { collect, type Outcome, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';

let network: TestNetwork;
let relay: Relay;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice');
  bob = await network.agent('bob');
  relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port } });
  network.moveTo('bob', [relay.endpoint]);
});
afterEach(() => {
  network.close();
  relay.close();
});

interface Flow {
  readonly near: Conduit;
  readonly far: Conduit;
}

/** A flow, in a new tunnel when there is none. */
async function flow(): Promise<Flow> {
  const accepted = Promise.withResolvers<Conduit>();
  bob.stream = (inbound) => accepted.resolve(inbound.accept());
  const near = await openStream(alice, 'bob');
  return { near, far: await accepted.promise };
}

/** Two flows of one tunnel; one says the bytes, and the tunnel is cut under them. Answers what the reader and all others saw. */
async function cutUnder(bytes: Buffer, cut: Cut): Promise<{ reader: Outcome; others: Outcome[] }> {
  const [talking, silent] = [await flow(), await flow()];
  // The first ping and its answer are over: nothing but what is said here is on the way.
  await alice.tunnels.ping('bob', new Deadline(5_000));
  expect([alice.tunnels.counters.open, bob.tunnels.counters.open]).toEqual([1, 1]);
  const outcomes = [talking.near, talking.far, silent.near, silent.far].map((conduit) => collect(conduit));
  relay.cutAfter(cut);
  (cut.direction === 'forth' ? talking.near : talking.far).write(bytes, true);
  const ended = await Promise.all(outcomes);
  const reader = ended[cut.direction === 'forth' ? 1 : 0];
  if (reader === undefined) throw new Error('no reader');
  await until(() => alice.tunnels.counters.open === 0 && bob.tunnels.counters.open === 0);
  return { reader, others: ended.filter((outcome) => outcome !== reader) };
}

const RECORD = HEADER_LENGTH + FRAME_HEADER + 20 + TAG_LENGTH;

it.each([
  ['forth', 'reset'],
  ['back', 'reset'],
  ['forth', 'end'],
  ['back', 'end'],
] as const)('cut %s by %s at each byte of a short record', async (direction, how) => {
  for (let after = 1; after <= RECORD; after++) {
    const { reader, others } = await cutUnder(randomBytes(20), { after, direction, how });
    // Behind the last byte of the tag the record is whole, and what it said is handed on.
    expect({ after, bytes: reader.bytes }).toEqual({ after, bytes: after === RECORD ? 20 : 0 });
    expect([reader, ...others].map((outcome) => outcome.how)).toEqual(Array(4).fill('reset'));
    expect(others.map(({ bytes }) => bytes)).toEqual([0, 0, 0]);
  }
  expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
});

it.each(['forth', 'back'] as const)(
  'cut %s in the middle of bulk: no byte of a record that was torn',
  async (direction) => {
    const bytes = randomBytes(400_000);
    for (const after of [5, 13, 60_000, 65_536, 130_000, 200_001, 262_143]) {
      const { reader } = await cutUnder(bytes, { after, direction, how: after % 2 === 0 ? 'reset' : 'end' });
      expect(reader.how).toBe('reset');
      expect(reader.bytes).toBeLessThan(after);
    }
    expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
  },
);

it('cut in the handshake and in the first records: the next call dials again, and is served', async () => {
  bob.stream = (inbound) => inbound.accept().end();
  for (const direction of ['forth', 'back'] as const) {
    for (let after = 1; after < 260; after += 7) {
      relay.cutAfter({ after, direction, how: 'reset' });
      // Made in a tunnel that is cut before, under or behind it.
      const first = await openStream(alice, 'bob').catch((error: unknown) => error);
      expect(first).toBeDefined();
      await until(async () => {
        const conduit = await openStream(alice, 'bob').catch(() => undefined);
        return conduit !== undefined && (await collect(conduit, { endWithPeer: true })).how !== 'reset';
      });
      relay.cut();
      await until(() => alice.tunnels.counters.open === 0 && bob.tunnels.counters.open === 0);
    }
  }
  expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
});
