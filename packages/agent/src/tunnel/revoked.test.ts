/** A peer whose membership ends between the first message of its handshake and the tunnel, at either end. */
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { ping, RawPeer } from './raw-peer.fixture.ts';

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice', { datagrams: false });
  bob = await network.agent('bob', { datagrams: false });
});
afterEach(() => network.close());

describe('a peer revoked during its handshake', () => {
  it('gets no tunnel where it is accepted', async () => {
    // Its two messages have passed; nothing has proved yet that they are no replay.
    const peer = await RawPeer.dial(alice, bob);
    network.peers.delete('alice');
    bob.tunnels.recheckPeers();
    peer.send(ping);
    await peer.closed;
    expect(peer.heard).toEqual([]);
    expect(bob.tunnels.counters.open).toBe(0);
    expect(bob.log.some(({ event }) => event === 'tunnel-up')).toBe(false);
  });

  it('gets none where its psk was changed meanwhile', async () => {
    const peer = await RawPeer.dial(alice, bob);
    network.peers.set('alice', { ...alice.peer, psk: Buffer.alloc(32, 1) });
    peer.send(ping);
    await peer.closed;
    expect(bob.tunnels.counters.open).toBe(0);
    expect(bob.log.some(({ event }) => event === 'tunnel-up')).toBe(false);
  });

  it.each(['is no member', 'has a new psk'])('gets none where it is dialled and %s', async (what) => {
    // Holds back what the peer answers.
    const held: Buffer[] = [];
    const relay = net.createServer((near) => {
      const far = net.connect(bob.tunnels.port, '127.0.0.1');
      near.on('data', (piece) => far.write(piece)).on('error', () => far.destroy());
      near.on('close', () => far.destroy());
      far.on('data', (piece) => {
        held.push(piece);
        release = () => near.write(Buffer.concat(held));
      });
      far.on('error', () => near.destroy());
    });
    let release: () => unknown = () => undefined;
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    network.moveTo('bob', [`127.0.0.1:${(relay.address() as net.AddressInfo).port}`]);
    const asked = alice.tunnels.ping('bob', new Deadline(5_000));
    await until(() => held.length > 0);
    if (what === 'is no member') network.peers.delete('bob');
    else network.peers.set('bob', { ...bob.peer, endpoints: [], psk: Buffer.alloc(32, 1) });
    alice.tunnels.recheckPeers();
    release();
    await expect(asked).rejects.toMatchObject({ message: 'host-bob is no member of this network any more' });
    expect(alice.tunnels.counters.open).toBe(0);
    expect(alice.log.some(({ event }) => event === 'tunnel-up')).toBe(false);
    relay.close();
  });
});
