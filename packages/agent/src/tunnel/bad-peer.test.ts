/** What an enrolled agent gone bad may do to a tunnel: its own manners, our keys. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { encodeCredit } from '../protocol/mux/frames.ts';
import { FRAME } from '../protocol/mux/types.ts';
import { openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { frame, ping, RawPeer } from './raw-peer.fixture.ts';

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice');
  bob = await network.agent('bob', { settings: { acceptedPerPeer: 3 } });
});
afterEach(() => network.close());

describe('a peer', () => {
  it('that finishes many handshakes at once gets no more tunnels than one that takes its time', async () => {
    const peers = await Promise.all(Array.from({ length: 8 }, () => RawPeer.dial(alice, bob)));
    for (const peer of peers) peer.send(ping);
    await until(() => peers.filter(({ socket }) => socket.closed).length === 5);
    expect(bob.tunnels.counters.open).toBe(3);
    for (const { socket } of peers) socket.destroy();
  });

  it('that makes tunnels and leaves them, over and over, does not fill the log', async () => {
    const began = performance.now();
    for (let count = 0; count < 40; count += 1) {
      const peer = await RawPeer.dial(alice, bob);
      peer.send(ping);
      await until(() => peer.heard.includes('pong'));
      peer.socket.destroy();
      await until(() => bob.tunnels.counters.open === 0);
    }
    const most = 20 + (performance.now() - began) / 3_000;
    for (const event of ['tunnel-up', 'tunnel-down']) {
      const { length } = bob.log.filter((line) => line.event === event);
      expect(length).toBeGreaterThanOrEqual(20);
      expect(length).toBeLessThanOrEqual(most);
    }
  });

  it('that has not proved to be no replay can make nobody hold a large record', async () => {
    const peer = await RawPeer.dial(alice, bob);
    // 20,000 bytes announced, none of them sent.
    peer.socket.write(Buffer.of(0, 0, 0x4e, 0x20));
    await peer.closed;
    expect(bob.tunnels.counters).toMatchObject({ handshakesFailed: 1, violations: 0, open: 0 });
  });

  it.each<[string, (peer: RawPeer) => void]>([
    ['HANDSHAKE1 that is none', (peer) => peer.send(frame(FRAME.handshake1, 0, Buffer.alloc(200)))],
    ['HANDSHAKE2 to the side that was dialled', (peer) => peer.send(frame(FRAME.handshake2, 0, Buffer.alloc(80)))],
    ['SWITCH without a handshake', (peer) => peer.send(frame(FRAME.switchKeys, 0))],
    ['REKEY that is not last', (peer) => peer.send(frame(FRAME.rekey, 0), ping)],
    ['a record under its old key after REKEY', (peer) => peer.send(frame(FRAME.rekey, 0)) ?? peer.send(ping)],
    ['credit for a flow that never was', (peer) => peer.send(frame(FRAME.window, 2, encodeCredit(1)))],
  ])('that sends %s loses its tunnel', async (_what, misbehave) => {
    const peer = await RawPeer.dial(alice, bob);
    peer.send(ping);
    await until(() => peer.heard.includes('pong'));
    misbehave(peer);
    await peer.closed;
    await until(() => bob.tunnels.counters.open === 0);
    expect(bob.tunnels.counters.violations).toBe(1);
  });

  it('that opens and resets without end leaves nothing behind', async () => {
    const peer = await RawPeer.dial(alice, bob);
    const open: boolean[] = [];
    bob.stream = (inbound) => {
      inbound.accept().attach({ data() {}, end() {}, drain() {}, closed: () => open.push(false) });
    };
    for (let id = 1; id < 4_000; id += 2) {
      peer.open(id, openRequest());
      peer.send(frame(FRAME.reset, id));
    }
    peer.send(ping);
    await until(() => peer.heard.includes('pong'));
    expect(open).toHaveLength(2_000);
    expect(bob.tunnels.counters).toMatchObject({ open: 1, violations: 0 });
    peer.socket.destroy();
  });
});

it('dials a peer that answers no ping in time no more often than it would be accepted', async () => {
  const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port }, delay: 30 });
  const settings = { tick: 5, keepalive: 0, suspect: 5, dialledPerPeer: 2 };
  const carol = await network.agent('carol', { settings });
  network.moveTo('bob', [relay.endpoint]);
  for (let count = 0; count < 6; count++) {
    expect(await openStream(carol, 'bob')).toBeDefined();
    // Time enough to be suspected, which a pong would take longer to disprove.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(carol.tunnels.counters.open).toBeLessThanOrEqual(2);
  relay.close();
});
