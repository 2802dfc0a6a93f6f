import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Conduit } from '../words/conduit.ts';
import { passing } from '../words/passing-memory.ts';
import { Deadline } from './deadline.ts';
import { fullCollector } from './inside/collector.ts';
import { trustInside } from './inside/known.ts';
import { startNative } from './native-check.ts';
import { listener } from './socket.fixture.ts';
import { connectSocket, SocketConduit, transportOf } from './socket.ts';
import { listenHandle } from './socket-listen.ts';

/** Over which a writer is asked to stop. */
const WRITE_LIMIT = 256 * 1024;

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const action of cleanup.splice(0)) action();
});

class User {
  readonly conduit: Conduit;
  readonly received: Buffer[] = [];
  readonly owned = new Set<boolean>();
  readonly log: string[] = [];
  readonly closed: Promise<{ readonly how: string; readonly cause: Error | undefined }>;
  readonly ended: Promise<void>;
  onDrain: () => void = () => undefined;

  constructor(conduit: Conduit) {
    this.conduit = conduit;
    const closed = Promise.withResolvers<{ how: string; cause: Error | undefined }>();
    const ended = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.ended = ended.promise;
    conduit.attach({
      data: (piece, owned) => {
        this.received.push(Buffer.from(piece));
        this.owned.add(owned);
      },
      end: () => {
        this.log.push('end');
        ended.resolve();
      },
      drain: () => this.onDrain(),
      closed: (how, cause) => {
        this.log.push(how);
        closed.resolve({ how, cause });
      },
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

/** Bytes in buffers, of which none is garbage of what ran before. */
function buffersAlive(): number {
  fullCollector()?.(false);
  return process.memoryUsage().arrayBuffers;
}

/** How much was counted since the last look. */
function takePassing(): number {
  const { bytes } = passing;
  passing.bytes = 0;
  return bytes;
}

async function pair(): Promise<{ near: SocketConduit; far: SocketConduit }> {
  const { listener: made, accepted } = await listener();
  const { conduit: near } = await connectSocket({
    host: '127.0.0.1',
    port: made.port,
    deadline: new Deadline(5000),
  });
  const [far] = await accepted;
  cleanup.push(() => near.reset());
  return { near, far };
}

describe('a socket conduit', () => {
  it('reads accepted and connected sockets into the shared buffer, so pieces are not owned', async () => {
    const { near, far } = await pair();
    const [a, b] = [new User(near), new User(far)];
    const bytes = randomBytes(3 * 2 ** 20);
    near.write(bytes, true);
    far.write(bytes, false);
    near.end();
    far.end();
    expect(await a.closed).toEqual({ how: 'closed', cause: undefined });
    expect(await b.closed).toEqual({ how: 'closed', cause: undefined });
    expect(a.bytes.equals(bytes) && b.bytes.equals(bytes)).toBe(true);
    expect([...a.owned, ...b.owned]).toEqual([false, false]);
    expect(a.log).toEqual(['end', 'closed']);
  });

  it('asks to stop over many small writes, and tells when they are done: a byte bound alone would let them cost the most', async () => {
    const { near, far } = await pair();
    // Filled up first, so that the kernel takes nothing more; the far end does not read.
    while (near.write(Buffer.alloc(64 * 1024), true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const user = new User(near);
    const filled = near.backlog;
    const drained = new Promise<void>((resolve) => {
      user.onDrain = resolve;
    });
    const record = Buffer.alloc(256 * 1024);
    let writes = 0;
    for (; writes < 10_000; writes++) if (!near.write(record.subarray(writes, writes + 1), true)) break;
    expect(near.backlog - filled).toBe(writes + 1);
    new User(far);
    await drained;
    expect(near.write(Buffer.alloc(1), true)).toBe(true);
  });

  it('keeps no large memory alive for small pieces of it that wait', async () => {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    cleanup.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = Promise.withResolvers<net.Socket>();
    server.once('connection', (socket) => accepted.resolve(socket));
    const { port } = server.address() as net.AddressInfo;
    const { conduit: far } = await connectSocket({ host: '127.0.0.1', port, deadline: new Deadline(5000) });
    const socket = await accepted.promise;
    const { _handle: handle } = socket as unknown as {
      _handle: { writeBuffer(request: object, piece: Buffer): number };
    };
    const given = vi.spyOn(handle, 'writeBuffer');
    const near = new SocketConduit(transportOf(socket));
    cleanup.push(() => near.reset());

    let length = 0;
    const write = (piece: Buffer): Buffer | undefined => {
      length += piece.length;
      near.write(piece, true);
      return given.mock.lastCall?.[1];
    };
    while (near.backlog === 0) write(Buffer.alloc(64 * 1024));
    const record = Buffer.alloc(256 * 1024, 'x');
    expect(write(record.subarray(10, 20))?.buffer).not.toBe(record.buffer);
    expect(write(record.subarray(0, 200 * 1024))?.buffer).toBe(record.buffer);
    near.end();
    const user = new User(far);
    await user.ended;
    expect(user.bytes.length).toBe(length);
  });

  it('copies what is not owned before write returns', async () => {
    const { near, far } = await pair();
    const user = new User(far);
    const piece = Buffer.from('precious');
    near.write(piece, false);
    piece.fill(0);
    near.end();
    await user.ended;
    expect(user.bytes.toString()).toBe('precious');
  });

  it('reads nothing before it is attached, nor while paused', async () => {
    const { near, far } = await pair();
    near.write(Buffer.from('early'), true);
    near.end();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const user = new User(far);
    far.pause();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(user.received).toEqual([]);
    far.resume();
    await user.ended;
    expect(user.bytes.toString()).toBe('early');
  });

  it('stays open in the other direction after a half-close', async () => {
    const { near, far } = await pair();
    const [a, b] = [new User(near), new User(far)];
    near.end();
    await b.ended;
    far.write(Buffer.from('late answer'), true);
    far.end();
    await a.closed;
    expect(a.bytes.toString()).toBe('late answer');
  });

  it('shows the far end a reset, and sees one', async () => {
    const { near, far } = await pair();
    const [a, b] = [new User(near), new User(far)];
    near.reset();
    expect(await b.closed).toMatchObject({ how: 'reset', cause: { code: 'ECONNRESET' } });
    expect(await a.closed).toMatchObject({ how: 'reset' });
    expect(b.log).toEqual(['reset']);
  });

  it.each([100, 4_097, 100_000])(
    'says of a reset what the system says, to who writes %i lent bytes behind it',
    async (size) => {
      await startNative(true);
      const { near, far } = await pair();
      const [user, other] = [new User(near), new User(far)];
      near.pause();
      const port = Number(near.remoteAddress?.split(':')[1]);
      const connected = `0100007F:${port.toString(16).padStart(4, '0').toUpperCase()} 01`;
      expect(readFileSync('/proc/net/tcp', 'utf8')).toContain(connected);
      far.reset();
      await other.closed;
      await expect.poll(() => readFileSync('/proc/net/tcp', 'utf8')).not.toContain(connected);
      near.write(Buffer.alloc(size), false);
      near.resume();
      expect(await user.closed).toMatchObject({ how: 'reset', cause: { code: 'ECONNRESET', syscall: 'write' } });
    },
  );

  it('copies what waits of lent bytes, and frees the copies when they have left or never will', async () => {
    await startNative(true);
    takePassing();
    for (const leaves of [true, false]) {
      const { near, far } = await pair();
      const user = new User(near);
      const lent = Buffer.alloc(256 * 1024);
      while (near.write(lent, true));
      const { backlog } = near;
      const arrayBuffers = buffersAlive();
      for (let copies = 0; copies < 32; copies++) near.write(lent, false);
      expect(near.backlog - backlog).toBe(32 * lent.length);
      const kept = () => process.memoryUsage().arrayBuffers - arrayBuffers;
      expect(kept()).toBeGreaterThan(31 * lent.length);
      if (leaves) {
        const drained = new Promise<void>((resolve) => {
          user.onDrain = resolve;
        });
        far.attach({ data: () => {}, end: () => {}, drain: () => {}, closed: () => {} });
        await drained;
        expect(kept()).toBeLessThan(2 * lent.length);
      }
      near.reset();
      await user.closed;
      expect(kept()).toBeLessThan(2 * lent.length);
    }
    expect(takePassing()).toBe(0);
  });

  it('keeps of small pieces that wait no more than their bytes, be they lent or parts of records', async () => {
    for (const native of [true, false]) {
      await startNative(native);
      const { near, far } = await pair();
      const user = new User(near);
      const lent = Buffer.alloc(256 * 1024, 7);
      for (;;) {
        const before = near.writes;
        near.write(lent.subarray(0, 4_000), false);
        if (near.writes > before) break;
      }
      const [alive, { backlog, writes }] = [buffersAlive(), near];
      for (let at = 0; at < 1_000; at++) near.write(lent.subarray(at, at + 1), false);
      expect([near.backlog - backlog, near.writes - writes]).toEqual([1_000, 1_000]);
      expect(process.memoryUsage().arrayBuffers - alive).toBeLessThan(64 * 1024);
      const record = () => Buffer.allocUnsafeSlow(16 * 1024).fill(7);
      for (let at = 0; at < 20; at++) near.write(record().subarray(at, at + 1), true);
      expect(buffersAlive() - alive).toBeLessThan(64 * 1024);
      const ended = Promise.withResolvers<void>();
      let same = true;
      const data = (piece: Buffer): void => {
        same &&= piece.every((byte) => byte === 7);
      };
      far.attach({ data, end: ended.resolve, drain: () => {}, closed: () => {} });
      near.end();
      await ended.promise;
      expect(same).toBe(true);
      far.end();
      await user.closed;
      // Where the first that waited lay is used by nobody else.
      expect(buffersAlive() - alive).toBeLessThan(64 * 1024);
    }
  });

  it('is over when it is reset right behind a half-close, or while one waits for its bytes', async () => {
    for (const unsent of [0, 8 * 2 ** 20]) {
      const { near, far } = await pair();
      const user = new User(near);
      if (unsent > 0) near.write(Buffer.alloc(unsent), true);
      near.end();
      near.reset();
      expect(await user.closed).toMatchObject({ how: 'reset' });
      expect(user.log).toEqual(['reset']);
      const other = new User(far);
      await Promise.race([other.ended, other.closed]);
      far.reset();
      expect(await other.closed).toMatchObject({ how: 'reset' });
    }
  });

  it('drops what is unsent when it is reset right behind a half-close', async () => {
    const { near, far } = await pair();
    const user = new User(near);
    const other = new User(far);
    far.pause();
    let written = 0;
    for (; near.writes === 0; written += 64 * 1024) near.write(Buffer.alloc(64 * 1024), true);
    // Read until the kernel has taken all, and not further: what it has not sent is there still.
    const drained = new Promise<void>((resolve) => {
      user.onDrain = resolve;
    });
    near.write(Buffer.alloc(WRITE_LIMIT), true);
    written += WRITE_LIMIT;
    far.resume();
    await drained;
    far.pause();
    near.end();
    near.reset();
    expect(await user.closed).toMatchObject({ how: 'reset' });
    far.resume();
    expect(await other.closed).toMatchObject({ how: 'reset', cause: { code: 'ECONNRESET' } });
    expect(other.bytes.length).toBeLessThan(written);
  });

  it('tells nothing more once it was reset', async () => {
    const { near, far } = await pair();
    const user = new User(near);
    far.write(Buffer.from('too late'), true);
    far.end();
    near.end();
    near.reset();
    near.resume();
    await user.closed;
    expect(user.log).toEqual(['reset']);
    expect(user.received).toEqual([]);
    far.reset();
  });

  it('asks its writer to stop, and says when there is room', async () => {
    const { near, far } = await pair();
    const user = new User(near);
    far.pause();
    while (near.write(Buffer.alloc(2 ** 20), true));
    expect(near.backlog).toBeGreaterThan(0);
    const drained = new Promise<void>((resolve) => {
      user.onDrain = resolve;
    });
    const reader = new User(far);
    await drained;
    expect(near.backlog).toBe(0);
    near.reset();
    await reader.closed;
  });

  it('tells a user that attaches late that it is over', async () => {
    const { near, far } = await pair();
    near.reset();
    far.reset();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await new User(far).closed).toMatchObject({ how: 'reset' });
  });

  it('ends some time after a failed write, however long what is left to read is not read', async () => {
    const { near, far } = await pair();
    const user = new User(near);
    near.pause();
    far.write(Buffer.from('last words'), true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    far.reset();
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (let writes = 0; writes < 3; writes++) near.write(Buffer.alloc(1), true);
    expect(await user.closed).toMatchObject({ how: 'reset' });
  }, 10_000);

  it('has one user', async () => {
    const { near } = await pair();
    new User(near);
    expect(() => new User(near)).toThrow(TypeError);
  });

  it("falls back to 'data' events where Node's inside is not to be trusted", async () => {
    trustInside(false);
    cleanup.push(() => trustInside(true));
    const { near, far } = await pair();
    const [a, b] = [new User(near), new User(far)];
    const bytes = randomBytes(2 ** 20);
    near.write(bytes, true);
    near.end();
    await b.ended;
    far.end();
    expect(await a.closed).toMatchObject({ how: 'closed' });
    expect(b.bytes.equals(bytes)).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')('sends what is small at once, from both ends', async () => {
    const { listener: made, accepted } = await listener();
    const descriptors: (number | undefined)[] = [];
    const spares = (descriptor: number | undefined) => descriptors.push(descriptor) > 0;
    const where = { host: '127.0.0.1', port: made.port, files: { spares } };
    const { conduit } = await connectSocket({ ...where, deadline: new Deadline(5000) });
    cleanup.push(() => conduit.reset());
    const [, { descriptor }] = await accepted;
    // Called before anybody accepted there.
    const bound = net.createServer().listen(0);
    cleanup.push(() => bound.close());
    const { port } = bound.address() as net.AddressInfo;
    const early = connectSocket({ host: '127.0.0.1', port, deadline: new Deadline(5000) });
    const handed = await new Promise<number | undefined>((told, failed) => {
      const { _handle: handle } = bound as unknown as { readonly _handle: object };
      listenHandle(handle, {}, (taken, remote) => {
        cleanup.push(() => taken.reset());
        told(remote.descriptor);
      }).catch(failed);
    });
    const { conduit: caller } = await early;
    cleanup.push(() => caller.reset());
    const script = 'open(my $socket, "+<&=3"); print unpack("i", getsockopt($socket, 6, 1))';
    for (const each of [descriptor, handed, ...descriptors]) {
      const { stdout } = spawnSync('perl', ['-e', script], { stdio: ['ignore', 'pipe', 'inherit', each] });
      expect(String(stdout)).toBe('1');
    }
    expect(descriptors).toHaveLength(1);
  });
});
