/** Two versions of the agent at the ends of one tunnel. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CAPABILITY, SEALS_SMALL_APART, TAKES_EARLY_DATA, UNSAID_CAPABILITY } from '@weft/proto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { encodeOffer } from '../protocol/datagram/offer.ts';
import { ASKED_SINCE } from '../words/opening.ts';
import { openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { decodeGreeting, encodeGreeting } from './greeting.ts';
import { ping, RawPeer } from './raw-peer.fixture.ts';

let network: TestNetwork;
let alice: TestAgent;
beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice');
});
afterEach(() => network.close());

it('each side says what it understands, and who says nothing understands what came first', () => {
  const offer = { index: 7, packetLimit: 1_400 };
  expect(decodeGreeting(encodeGreeting(offer))).toEqual({ offer, capability: CAPABILITY });
  expect(decodeGreeting(encodeOffer(offer))).toEqual({ offer, capability: 1 });
  const newer = Buffer.concat([encodeOffer(offer), Buffer.of(0, 9), Buffer.from('more')]);
  expect(decodeGreeting(newer)).toEqual({ offer, capability: 9 });
});

/** As though this came with number 2. */
const ASKED = { askedSince: { ...ASKED_SINCE, protocols: { tcp: 1, udp: 2 } } };

it('a peer that says no number is asked for what came first, and for nothing that came later', async () => {
  const bob = await network.agent('bob', { settings: ASKED });
  const peer = await RawPeer.dial(alice, bob);
  peer.send(ping);
  await until(() => bob.tunnels.counters.open === 1);
  const refused = await bob.tunnels.openDatagrams(...forged('alice', openRequest('udp')), new Deadline(5_000));
  expect(refused).toEqual({
    opened: false,
    refusal: {
      code: 'other',
      rule: '',
      revision: 0,
      detail: 'the agent on host-alice is of capability 1, and this needs 2; upgrade it',
    },
  });
  expect(peer.heard).not.toContain('open 2');
  const asked = openStream(bob, 'alice').catch(() => undefined);
  await until(() => peer.heard.includes('open 2'));
  peer.socket.destroy();
  await asked;
});

it('a peer that says its number is asked for what came with it', async () => {
  const bob = await network.agent('bob', { settings: ASKED });
  const opened = await bob.tunnels.openDatagrams(...forged('alice', openRequest('udp')), new Deadline(5_000));
  expect(opened.opened).toBe(true);
});

it.each([UNSAID_CAPABILITY, SEALS_SMALL_APART - 1, SEALS_SMALL_APART, CAPABILITY])(
  'a peer of capability %i is sealed small records as it knows them, and its own are opened',
  async (capability) => {
    const bob = await network.agent('bob');
    const peer = await RawPeer.dial(alice, bob, capability);
    peer.send(ping);
    await until(() => peer.heard.includes('pong'));
    peer.send(ping, Buffer.alloc(0));
    await until(() => peer.heard.filter((frame) => frame === 'pong').length === 2);
    expect(bob.tunnels.counters.violations).toBe(0);
    peer.socket.destroy();
  },
);

it('a peer that came before users were told is told none', async () => {
  const bob = await network.agent('bob', { settings: { askedSince: { ...ASKED_SINCE, users: 2 } } });
  const peer = await RawPeer.dial(alice, bob);
  peer.send(ping);
  await until(() => bob.tunnels.counters.open === 1);
  const [permit, target] = forged('alice', openRequest('tcp'));
  const source = { type: 'service', name: 'web', user: 'www-data' } as const;
  const asked = bob.tunnels.openStream(permit, { ...target, source }, new Deadline(5_000)).catch(() => undefined);
  await until(() => peer.heard.includes('open 2'));
  expect(peer.asked).toEqual([{ type: 'service', name: 'web' }]);
  peer.socket.destroy();
  await asked;
});

it.each([
  [TAKES_EARLY_DATA - 1, false],
  [TAKES_EARLY_DATA, true],
])('a peer of capability %i is sent what a caller says before an answer: %s', async (capability, sent) => {
  const bob = await network.agent('bob');
  const peer = await RawPeer.dial(alice, bob, capability);
  peer.send(ping);
  await until(() => bob.tunnels.counters.open === 1);
  const asked = openSaying(bob, 'first words');
  // What came before its answer has come.
  peer.send(ping);
  await until(() => peer.heard.includes('open 2') && peer.heard.filter((frame) => frame === 'pong').length === 2);
  expect(peer.data.get(2)).toBe(sent ? 'first words'.length : undefined);
  peer.socket.destroy();
  await asked;
});

it('a tunnel that was not heard of for a while takes no early data, which could not be said again if it is dead', async () => {
  const bob = await network.agent('bob', { settings: { heartbeat: 200, tick: 100 } });
  const peer = await RawPeer.dial(alice, bob, CAPABILITY);
  peer.send(ping);
  await until(() => peer.heard.includes('pong'));
  await sleep(400);
  const first = openSaying(bob, 'first words');
  await until(() => peer.heard.includes('open 2'));
  peer.send(ping);
  await until(() => peer.heard.filter((frame) => frame === 'pong').length === 2);
  const second = openSaying(bob, 'second words');
  await until(() => peer.data.has(4));
  expect([...peer.data]).toEqual([[4, 'second words'.length]]);
  peer.socket.destroy();
  await Promise.all([first, second]);
});

/** By a caller that has said so much. */
function openSaying(from: TestAgent, words: string): Promise<unknown> {
  const data = { follow: (take: (piece: Buffer) => void) => take(Buffer.from(words)), leave: () => undefined };
  return from.tunnels
    .openStream(...forged('alice', openRequest('tcp')), new Deadline(5_000), data)
    .catch(() => undefined);
}
