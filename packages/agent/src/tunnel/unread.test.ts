/** Peers that do not take what they are sent: what it costs them, and nobody else. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fullCollector } from '../bytes/inside/collector.ts';
import { findCipher } from '../bytes/inside/native-cipher.ts';
import { encodeCredit } from '../protocol/mux/frames.ts';
import { FRAME } from '../protocol/mux/types.ts';
import type { NewInPlaceKey } from '../protocol/noise/in-place.ts';
import { inPlaceKeys } from '../protocol/noise/pair.fixture.ts';
import { InPlace } from '../protocol/record/in-place.ts';
import type { Conduit } from '../words/conduit.ts';
import { echoStream, exchange, openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { frame, ping, RawPeer } from './raw-peer.fixture.ts';

const KIB = 1024;
const BLOCK = 64 * KIB;
const ENOUGH = 512 * 1024 * KIB;
/** Bulk that waits in the socket, the record that went over that, and a few small frames. */
const SOCKET_BOUND = (512 + 256 + 64) * KIB;

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice', { settings: { tick: 50, deadWhenCarrying: 4_000, keepalive: 500 } });
  bob = await network.agent('bob', { settings: { tick: 50, deadWhenCarrying: 4_000, keepalive: 500 } });
});
afterEach(() => network.close());

/** A writer that goes on whenever it may. */
class Pouring {
  written = 0;
  stopped: boolean = false;
  readonly ended: Promise<{ readonly how: string; readonly cause: Error | undefined }>;
  readonly #conduit: Conduit;

  constructor(conduit: Conduit) {
    this.#conduit = conduit;
    const ended = Promise.withResolvers<{ how: string; cause: Error | undefined }>();
    this.ended = ended.promise;
    conduit.attach({
      data: () => undefined,
      end: () => undefined,
      drain: () => this.#pour(),
      closed: (how, cause) => ended.resolve({ how, cause }),
    });
    this.#pour();
  }

  #pour(): void {
    // A conduit that is over takes everything, so there is an end to this.
    do this.written += BLOCK;
    while (this.#conduit.write(randomBytes(BLOCK), true) && this.written < ENOUGH);
    this.stopped = true;
  }
}

/** A path whose connections can be left unread, so that the sender's own socket fills. */
class Pipe {
  readonly connections: (readonly [near: net.Socket, far: net.Socket])[] = [];
  readonly server: net.Server;

  constructor(target: number) {
    this.server = net.createServer({ allowHalfOpen: true }, (near) => {
      const far = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
      this.connections.push([near, far]);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (piece) => to.write(piece));
        from.on('end', () => to.end());
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
  }

  static async before(agent: TestAgent): Promise<Pipe> {
    const pipe = new Pipe(agent.tunnels.port);
    await new Promise<void>((resolve) => pipe.server.listen(0, '127.0.0.1', resolve));
    return pipe;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** Neither side is read from here on. */
  jam(): void {
    for (const pair of this.connections) for (const socket of pair) socket.pause();
  }

  close(): void {
    this.server.close();
    for (const pair of this.connections) for (const socket of pair) socket.destroy();
  }
}

/** Bytes that the kernel holds between a sender and a reader of 127.0.0.1, by their ports. */
function held(sender: number, reader: number): number {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let bytes = 0;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, remote, , queues = ''] = line.trim().split(/\s+/);
    const [toSend = '0', toRead = '0'] = queues.split(':');
    if (local === hex(sender) && remote === hex(reader)) bytes += Number.parseInt(toSend, 16);
    if (local === hex(reader) && remote === hex(sender)) bytes += Number.parseInt(toRead, 16);
  }
  return bytes;
}

/** Resolves when the writers have come to stand still: looks at every tenth of a second alike. */
async function standstill(read: () => number): Promise<number> {
  for (let [seen, alike] = [-1, 0]; ; ) {
    const next = read();
    alike = next === seen ? alike + 1 : 0;
    if (alike === 3) return next;
    seen = next;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const total = (writers: readonly Pouring[]): number => writers.reduce((sum, { written }) => sum + written, 0);

describe.skipIf(process.platform !== 'linux')('a peer whose connection is not read', () => {
  it('stops its callers in bounded memory, holds up no other peer, and is found dead', async () => {
    const pipe = await Pipe.before(bob);
    network.moveTo('bob', [`127.0.0.1:${pipe.port}`]);
    const carol = await network.agent('carol');
    bob.stream = (inbound) => void new Pouring(inbound.accept());
    const conduits = await Promise.all(Array.from({ length: 20 }, () => openStream(alice, 'bob')));
    pipe.jam();
    const before = alice.tunnels.counters.bytesSent;
    const writers = conduits.map((conduit) => new Pouring(conduit));
    const sent = (): number => alice.tunnels.counters.bytesSent;
    await standstill(() => total(writers) + sent());

    expect(writers.every(({ stopped }) => stopped)).toBe(true);
    // What a stream has been given and not sealed is no more than the write that it was stopped at.
    expect(total(writers) - (sent() - before)).toBeLessThanOrEqual(writers.length * BLOCK);
    expect(sent()).toBeGreaterThan(0);
    let unsent = sent();
    for (const [near] of pipe.connections) {
      unsent -= near.bytesRead + held(near.remotePort ?? 0, pipe.port);
    }
    expect(unsent).toBeGreaterThan(64 * KIB);
    expect(unsent).toBeLessThanOrEqual(SOCKET_BOUND * pipe.connections.length);

    // Meanwhile others of both agents go on.
    carol.stream = echoStream;
    bob.stream = echoStream;
    const blocks = Array.from({ length: 16 }, () => randomBytes(BLOCK));
    network.moveTo('bob', bob.peer.endpoints);
    for (const [from, to] of [
      [alice, 'carol'],
      [carol, 'bob'],
    ] as const) {
      const outcome = await exchange(await openStream(from, to), blocks);
      expect(outcome).toMatchObject({ how: 'closed', bytes: 16 * BLOCK });
    }

    // No pong comes through the jam.
    for (const { ended } of writers) expect(await ended).toMatchObject({ how: 'reset' });
    // Both carry flows and hear nothing: the first to say so closes it for the other.
    expect([...alice.log, ...bob.log].some(({ event, reason }) => event === 'tunnel-down' && reason === 'dead')).toBe(
      true,
    );
    expect(await exchange(await openStream(alice, 'bob'), blocks)).toMatchObject({ bytes: 16 * BLOCK });
    expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
    pipe.close();
  });
});

/** Blocks that are given back hold something else at once. */
class PoisonedPlace extends InPlace {
  override giveBack(block: Buffer<ArrayBuffer>): void {
    block.fill(0xee);
    super.giveBack(block);
  }
}

it('what waits is whole, though it was sealed in memory that is used again, and no key outlives its tunnel', async () => {
  const before = inPlaceKeys.alive;
  const settings = { tick: 5, renewal: 40, rekey: 10 };
  let made = 0;
  const newKey: NewInPlaceKey = (...key) => {
    made += 1;
    return inPlaceKeys.newKey(...key);
  };
  const options = { inPlace: new PoisonedPlace(newKey, 0), settings };
  const carol = await network.agent('carol', options);
  const dave = await network.agent('dave', options);
  const pipe = await Pipe.before(dave);
  network.moveTo('dave', [`127.0.0.1:${pipe.port}`]);
  const conduits = await Promise.all(Array.from({ length: 12 }, () => openStream(carol, 'dave')));
  const blocks = Array.from({ length: 16 }, () => randomBytes(BLOCK));
  pipe.jam();
  const outcomes = conduits.map((conduit) => exchange(conduit, blocks));
  await standstill(() => carol.tunnels.counters.bytesSent);
  for (const pair of pipe.connections) for (const socket of pair) socket.resume();
  const digest = createHash('sha256').update(Buffer.concat(blocks)).digest('hex');
  for (const outcome of outcomes) expect(await outcome).toMatchObject({ how: 'closed', digest });
  await until(() => carol.tunnels.counters.renewals > 1);
  expect(await exchange(await openStream(carol, 'dave'), blocks)).toMatchObject({ how: 'closed', digest });
  expect(carol.tunnels.counters.violations + dave.tunnels.counters.violations).toBe(0);
  // Of four halves, each with more than one key.
  expect(made).toBeGreaterThan(4);
  network.close();
  await until(() => inPlaceKeys.alive === before);
  pipe.close();
});

/** Takes `burst` bytes, and then none before the writer has come to stand still. */
function slowReader(conduit: Conduit, burst: number, written: () => number, wanted: number): Promise<void> {
  const done = Promise.withResolvers<void>();
  let [taken, read] = [0, 0];
  const goOn = (seen: number): void => {
    if (written() === seen) conduit.resume();
    else setTimeout(goOn, 10, written());
  };
  conduit.attach({
    data: ({ length }) => {
      read += length;
      taken += length;
      if (read >= wanted) done.resolve();
      else if (taken >= burst) {
        taken = 0;
        conduit.pause();
        goOn(-1);
      }
    },
    end: () => undefined,
    drain: () => undefined,
    closed: () => done.resolve(),
  });
  return done.promise;
}

it.each([
  ['in place', BLOCK],
  ['by node:crypto', BLOCK],
  ['by node:crypto', 12 * KIB],
])(
  'a slow reader costs what its window lets wait, and no memory of what it has taken: records %s, %i bytes each',
  async (how, size) => {
    const native = findCipher();
    const inPlace = how === 'in place' && typeof native !== 'string' ? new InPlace(native.newKey) : undefined;
    const carol = await network.agent('carol', { ...(inPlace && { inPlace }) });
    const dave = await network.agent('dave', { ...(inPlace && { inPlace }) });
    let [written, most] = [0, 0];
    const wanted = 80 * 1024 * KIB;
    const slow = Promise.withResolvers<void>();
    dave.stream = (inbound) => {
      slowReader(inbound.accept(), 8 * 1024 * KIB, () => written, wanted).then(slow.resolve, slow.reject);
    };
    const conduit = await openStream(carol, 'dave');
    const lent = randomBytes(size);
    fullCollector()?.(false);
    const before = process.memoryUsage().arrayBuffers;
    const pour = (): void => {
      do {
        written += size;
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      } while (conduit.write(lent, false));
    };
    conduit.attach({ data: () => undefined, end: () => undefined, drain: pour, closed: () => undefined });
    pour();
    await slow.promise;
    conduit.reset();
    // The greatest window, and what lies in buffers on the way; records by node:crypto are garbage, which is collected by hand, each 4 MiB.
    expect(most).toBeLessThan((how === 'in place' ? 20 : 32) * 1024 * KIB);
    expect(carol.tunnels.counters.violations + dave.tunnels.counters.violations).toBe(0);
  },
);

describe('a peer that gives no credit', () => {
  it('gets what it has asked for, to the byte, and the rest of its tunnel goes on', async () => {
    const peer = await RawPeer.dial(alice, bob);
    const writers: Pouring[] = [];
    bob.stream = (inbound) => void writers.push(new Pouring(inbound.accept()));
    const windows = [0, 1, 4_097, 65_536, 100_000];
    for (const [index, window] of windows.entries()) peer.open(2 * index + 1, openRequest(), window);
    peer.open(101, openRequest(), 0x7000_0000);
    const asked = (): boolean => windows.every((window, index) => (peer.data.get(2 * index + 1) ?? 0) === window);
    await until(() => asked() && (peer.data.get(101) ?? 0) > 32 * 1024 * KIB);
    expect(writers.slice(0, -1).map(({ stopped, written }) => [stopped, written <= 2 * BLOCK])).toEqual(
      windows.map(() => [true, true]),
    );
    // One byte more for one of them: exactly that byte.
    peer.send(frame(FRAME.window, 3, encodeCredit(1)), ping);
    await until(() => peer.data.get(3) === 2 && peer.heard.includes('pong'));
    expect(asked()).toBe(false);
    expect(bob.tunnels.counters).toMatchObject({ open: 1, violations: 0 });
    peer.socket.destroy();
    for (const { ended } of writers) expect(await ended).toMatchObject({ how: 'reset' });
  });

  it('may not send more than it was given, either: one byte over ends its tunnel', async () => {
    bob.stream = (inbound) => void inbound.accept();
    for (const over of [0, 1]) {
      const peer = await RawPeer.dial(alice, bob);
      peer.open(1, openRequest());
      await until(() => peer.heard.includes('opened 1'));
      peer.send(frame(FRAME.data, 1, Buffer.alloc(200 * KIB)));
      peer.send(frame(FRAME.data, 1, Buffer.alloc(56 * KIB + over)), ping);
      if (over === 0) await until(() => peer.heard.includes('pong'));
      else await peer.closed;
      expect(bob.tunnels.counters.violations).toBe(over);
      peer.socket.destroy();
    }
    await until(() => bob.tunnels.counters.open === 0);
  });
});

it('a peer that asks without end and never reads the answers is cut off', async () => {
  const detail = 'no'.repeat(200);
  bob.stream = (inbound) => inbound.refuse({ code: 'not-listening', rule: '', revision: 1, detail });
  const peer = await RawPeer.dial(alice, bob);
  const gone = peer.closed.then(() => 'gone');
  peer.socket.pause();
  let asked = 0;
  const going = (): boolean => bob.tunnels.counters.violations === 0;
  for (let id = 1; going() && id < 400_000; id += 200) {
    for (let offset = 0; offset < 200; offset += 2) peer.open(id + offset, openRequest());
    asked += 100;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(going()).toBe(false);
  // What it was owed: 8 MiB here, and what the kernel took.
  expect(asked * detail.length).toBeGreaterThan(8 * 1024 * KIB);
  expect(asked * detail.length).toBeLessThan(64 * 1024 * KIB);
  peer.socket.resume();
  expect(await gone).toBe('gone');
  await until(() => bob.tunnels.counters.open === 0);
});
