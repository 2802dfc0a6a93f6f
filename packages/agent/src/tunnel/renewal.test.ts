import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { exchange, openStream, TestNetwork, until } from './agents.fixture.ts';

let network: TestNetwork;
afterEach(() => network.close());

it('takes new keys by time and by handshake under traffic, and loses no byte', async () => {
  network = new TestNetwork();
  const settings = { tick: 5, renewal: 20, rekey: 10 };
  const alice = await network.agent('alice', { settings });
  await network.agent('bob', { settings });
  const written = createHash('sha256');
  // Ten rounds of a while each: long enough for several handshakes in between and in the middle.
  for (let round = 0; round < 10; round++) {
    const blocks = Array.from({ length: 20 }, () => randomBytes(100_000));
    const outcome = await exchange(await openStream(alice, 'bob'), blocks);
    const expected = createHash('sha256');
    for (const block of blocks) expected.update(block);
    expect(outcome.digest).toBe(expected.digest('hex'));
    written.update(outcome.digest);
  }
  const { renewals } = alice.tunnels.counters;
  await until(() => alice.tunnels.counters.renewals > renewals + 2);
  expect(await alice.tunnels.ping('bob', new Deadline(5000))).toBeGreaterThan(0);
  expect(alice.tunnels.counters).toMatchObject({ open: 1, violations: 0 });
});

it('refuses to renew for a peer that is no member any more', async () => {
  network = new TestNetwork();
  const alice = await network.agent('alice', { settings: { tick: 5, renewal: 30 } });
  const bob = await network.agent('bob', { settings: { tick: 5 } });
  await alice.tunnels.ping('bob', new Deadline(5000));
  network.peers.delete('alice');
  await until(() => bob.tunnels.counters.violations === 1);
  expect(bob.tunnels.counters.open).toBe(0);
});
