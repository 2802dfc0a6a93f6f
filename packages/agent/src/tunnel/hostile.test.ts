/** What strangers and peers may do to a tunnel, and what it costs them. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { keyPairFromSecret } from '../protocol/noise/keys.ts';
import type { Conduit } from '../words/conduit.ts';
import { collect, openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { UnreachableError } from './errors.ts';

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice', {
    settings: { handshakeTimeout: 300, dialTimeout: 1000, tick: 50, suspect: 150 },
  });
  bob = await network.agent('bob', {
    settings: {
      handshakeTimeout: 300,
      handshakes: 6,
      handshakesPerAddress: 4,
      tick: 50,
      dead: 600,
      deadWhenCarrying: 300,
      keepalive: 200,
    },
  });
});
afterEach(() => network.close());

/** What a stranger gets back for its bytes: the answer, and whether the connection was ended. */
function knock(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const answer: Buffer[] = [];
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (piece) => answer.push(piece));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(answer)));
  });
}

/** Lets bob hold the streams it is offered. */
function held(): Promise<Conduit> {
  const accepted = Promise.withResolvers<Conduit>();
  bob.stream = (inbound) => accepted.resolve(inbound.accept());
  return accepted.promise;
}

const stillServes = async (): Promise<void> => {
  await expect(alice.tunnels.ping('bob', new Deadline(5000))).resolves.toBeGreaterThan(0);
};

describe('a stranger at the tunnel port', () => {
  it.each([
    ['rubbish', randomBytes(1000)],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    [
      'a preamble with a forged message',
      Buffer.concat([Buffer.from('WEFT\x01\x01\x00\x66', 'latin1'), randomBytes(102)]),
    ],
    ['a preamble that claims a huge message', Buffer.from('WEFT\x01\x01\xff\xff', 'latin1')],
  ])('gets no answer for %s', async (_name, bytes) => {
    expect((await knock(bob.tunnels.port, bytes)).length).toBe(0);
    expect(bob.tunnels.counters.handshakesFailed).toBe(1);
    expect(bob.log.some(({ event }) => event === 'tunnel-rejected')).toBe(true);
    await stillServes();
  });

  it('is hung up on when it says nothing, and may not hold more than its share of handshakes', async () => {
    const silent = Array.from({ length: 6 }, () => knock(bob.tunnels.port, Buffer.alloc(0)));
    expect(await Promise.all(silent)).toHaveLength(6);
    expect(bob.log.filter(({ event }) => event === 'tunnel-rejected').map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(['timeout', 'evicted']),
    );
    await stillServes();
  });

  it('makes room for an honest peer of the same address when strangers there hold their share', async () => {
    const strangers = Array.from({ length: 8 }, () => net.connect({ port: bob.tunnels.port, host: '127.0.0.1' }));
    for (const stranger of strangers) stranger.on('error', () => undefined);
    await Promise.all(strangers.map((stranger) => once(stranger, 'connect')));
    // Well before the silent ones run out of time.
    await stillServes();
    for (const stranger of strangers) stranger.destroy();
  });

  it('makes room for newcomers when strangers hold every place', async () => {
    const strangers = ['127.0.0.2', '127.0.0.3'].flatMap((localAddress) =>
      Array.from({ length: 3 }, () => net.connect({ port: bob.tunnels.port, host: '127.0.0.1', localAddress })),
    );
    for (const stranger of strangers) stranger.on('error', () => undefined);
    await Promise.all(strangers.map((stranger) => once(stranger, 'connect')));
    // Well before the silent ones run out of time.
    await stillServes();
    expect(bob.log.filter(({ event }) => event === 'tunnel-rejected').map(({ reason }) => reason)).toContain('evicted');
    for (const stranger of strangers) stranger.destroy();
  });

  it('with a key that the directory does not know gets no answer', async () => {
    const mallory = await network.agent('mallory', { settings: { dialTimeout: 500 } });
    network.peers.delete('mallory');
    await expect(mallory.tunnels.openStream(...forged('bob', openRequest()), new Deadline(5000))).rejects.toThrow(
      UnreachableError,
    );
    expect(bob.log.some(({ reason }) => reason === 'unknown-peer')).toBe(true);
    expect(bob.tunnels.counters.open).toBe(0);
  });

  it('of another network cannot finish a handshake', async () => {
    const other = await network.agent('other', { network: 'elsewhere', settings: { dialTimeout: 500 } });
    await expect(other.tunnels.ping('bob', new Deadline(5000))).rejects.toThrow(UnreachableError);
    expect(bob.tunnels.counters.open).toBe(0);
  });

  it('that replays a recorded start of a tunnel becomes no tunnel', async () => {
    const recorded: Buffer[] = [];
    const recorder = net.createServer((near) => {
      near.on('data', (piece) => recorded.push(piece));
      near.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
    network.moveTo('bob', [`127.0.0.1:${(recorder.address() as net.AddressInfo).port}`]);
    await expect(alice.tunnels.ping('bob', new Deadline(5000))).rejects.toThrow(UnreachableError);
    recorder.close();
    const start = Buffer.concat(recorded);
    const answer = await knock(bob.tunnels.port, start);
    // Bob answers the handshake, for message 1 is genuine; but nothing follows it, so it never counts as a tunnel.
    expect(answer.length).toBeGreaterThan(0);
    expect(bob.tunnels.counters.open).toBe(0);
    // Nor is alice named by what comes behind it, which anybody could send, nor by an end.
    const behind = [
      (socket: net.Socket) => socket.write(Buffer.concat([Buffer.of(0, 0, 0, 17), randomBytes(17)])),
      (socket: net.Socket) => socket.destroy(),
    ];
    for (const [index, next] of behind.entries()) {
      const socket = net.connect(bob.tunnels.port, '127.0.0.1', () => socket.write(start));
      socket.on('error', () => undefined);
      socket.once('data', () => next(socket));
      await until(() => bob.tunnels.counters.handshakesFailed === 2 + index);
    }
    expect(bob.tunnels.counters).toMatchObject({ open: 0, violations: 0 });
    const told = bob.log.filter(({ level }) => Number(level) >= 40);
    const remote = '127.0.0.1';
    expect(told).toMatchObject(
      ['timeout', 'replayed-or-forged', 'closed'].map((reason) => ({ event: 'tunnel-rejected', reason, remote })),
    );
    expect(told.filter(({ peer }) => peer !== undefined)).toEqual([]);
  });
});

describe('a tunnel', () => {
  it('ends when a record is tampered with, and the next flow gets a new one', async () => {
    const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port } });
    network.moveTo('bob', [relay.endpoint]);
    const conduit = await openStream(alice, 'bob');
    const near = collect(conduit);
    relay.inject(randomBytes(64));
    expect(await near).toMatchObject({ how: 'reset' });
    expect(bob.tunnels.counters.violations).toBe(1);
    expect(bob.log.some(({ event }) => event === 'tunnel-violation')).toBe(true);
    await stillServes();
    relay.close();
  });

  it('that is cut in the middle of a record resets its streams at both ends', async () => {
    const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port } });
    network.moveTo('bob', [relay.endpoint]);
    const accepted = held();
    const conduit = await openStream(alice, 'bob');
    const far = collect(await accepted);
    const near = collect(conduit);
    conduit.write(randomBytes(200_000), true);
    await until(() => relay.bytesForth > 20_000);
    relay.cut();
    expect(await near).toMatchObject({ how: 'reset' });
    expect(await far).toMatchObject({ how: 'reset' });
    relay.close();
  });

  it('whose path went dark is found dead, and its streams are reset', async () => {
    const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port } });
    network.moveTo('bob', [relay.endpoint]);
    const accepted = held();
    await openStream(alice, 'bob');
    const far = collect(await accepted);
    relay.stall();
    expect(await far).toMatchObject({ how: 'reset', cause: { code: 'dead' } });
    relay.close();
  });

  it('is cut at once when its peer is no member any more', async () => {
    const accepted = held();
    const conduit = await openStream(alice, 'bob');
    const near = collect(conduit);
    const far = collect(await accepted);
    network.peers.delete('alice');
    bob.tunnels.recheckPeers();
    expect(await far).toMatchObject({ how: 'reset', cause: { code: 'revoked' } });
    expect(await near).toMatchObject({ how: 'reset' });
    expect(bob.tunnels.counters.open).toBe(0);
    await expect(alice.tunnels.ping('bob', new Deadline(5000))).rejects.toThrow(UnreachableError);
    const [down] = bob.log.filter(({ event }) => event === 'tunnel-down');
    expect(down?.msg).toBe('tunnel to host-alice is down: host-alice is no member any more, or has new keys');
  });

  it('is cut where this host is no member any more, which says so of itself and not of its peers', async () => {
    await stillServes();
    network.peers.clear();
    network.left = true;
    bob.tunnels.recheckPeers();
    const [down] = bob.log.filter(({ event }) => event === 'tunnel-down');
    expect(down?.msg).toBe('tunnel to host-alice is down: this host is no member of the network any more');
  });

  it('is cut when the key or the psk of its peer changes, and kept when only its endpoints do', async () => {
    await stillServes();
    network.moveTo('bob', [...bob.peer.endpoints, '127.0.0.1:1']);
    alice.tunnels.recheckPeers();
    expect(alice.tunnels.counters.open).toBe(1);
    network.peers.set('bob', { ...bob.peer, psk: randomBytes(32) });
    alice.tunnels.recheckPeers();
    expect(alice.tunnels.counters.open).toBe(0);
    network.peers.set('bob', { ...bob.peer, tunnelKey: keyPairFromSecret(randomBytes(32)).publicKey });
    await expect(alice.tunnels.ping('bob', new Deadline(5000))).rejects.toThrow(UnreachableError);
  });
});

describe('dialling', () => {
  it('goes on to the next endpoint when one refuses and one is silent', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as net.AddressInfo;
    network.moveTo('bob', ['127.0.0.1:1', `127.0.0.1:${port}`, 'not an endpoint', ...bob.peer.endpoints]);
    await stillServes();
    silent.close();
  });

  it('fails with the reason, is short of breath for a moment, and finds the peer when it is back', async () => {
    network.moveTo('bob', ['127.0.0.1:1']);
    const attempt = (): Promise<number> => alice.tunnels.ping('bob', new Deadline(5000));
    await expect(attempt()).rejects.toMatchObject({ code: 'connect-failed' });
    await expect(attempt()).rejects.toMatchObject({ code: 'connect-failed' });
    // Not dialled again: the answer came from memory.
    expect(alice.tunnels.counters.handshakesFailed).toBe(1);
    network.moveTo('bob', bob.peer.endpoints);
    await until(() =>
      attempt().then(
        (answer) => answer > 0,
        () => false,
      ),
    );
  });

  it('dials once for many callers', async () => {
    await Promise.all(Array.from({ length: 20 }, () => alice.tunnels.ping('bob', new Deadline(5000))));
    expect(alice.tunnels.counters.open).toBe(1);
  });

  it('opens the flow in a new tunnel when the old one turns out to be lost', async () => {
    await stillServes();
    const { port } = bob.tunnels;
    await bob.tunnels.close();
    // The same agent again, as after a restart; alice has not heard of it.
    const again = await network.agent('bob', { listen: { host: '127.0.0.1', port }, keys: bob });
    network.peers.set('bob', { ...again.peer, tunnelKey: bob.peer.tunnelKey });
    expect(await openStream(alice, 'bob')).toBeDefined();
  });
});
