import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { INDEX_AT, PACKET_TYPE } from '../../protocol/datagram/format.ts';
import { DatagramPort } from '../../tunnel/datagram-port.ts';
import { createPacketWays, SecondSteering, ThreadSteering } from './packet-steering.ts';

const THREADS = 3;
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

function steerings(): readonly ThreadSteering[] {
  const made = createPacketWays(THREADS).map((ways, thread) => new ThreadSteering(thread, ways));
  cleanup.push(() => {
    for (const steering of made) steering.close();
  });
  return made;
}

function packetFor(index: number, mark = 0): Buffer {
  const packet = Buffer.alloc(100, mark);
  packet[0] = PACKET_TYPE;
  packet.writeUInt32BE(index, INDEX_AT);
  return packet;
}

/** Three ports as of three threads, on one number. The kernel sees sockets, and no threads. */
async function ports() {
  const dropped = { count: 0 };
  const own = steerings();
  const made: DatagramPort[] = [];
  let at = 0;
  for (const [thread, steering] of own.entries()) {
    if (at === 0) {
      // A number that is free: asked for alone, as the first thread does.
      const probe = dgram.createSocket('udp4');
      await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
      at = probe.address().port;
      probe.close();
    }
    const share = thread === 0 ? 'first' : 'join';
    const port = await DatagramPort.bind({ host: '127.0.0.1', port: at, share, steering }, randomBytes, () => {
      dropped.count += 1;
    });
    cleanup.push(() => port.close());
    made.push(port);
  }
  return { made, at, dropped };
}

describe('packets of tunnels on several threads', () => {
  it('get to the thread whose session they are for, whichever the kernel gave them to', async () => {
    const { made, at, dropped } = await ports();
    const heard: string[] = [];
    const indices = made.map((port, thread) => {
      const index = port.newIndex();
      port.register(index, (packet, from) => heard.push(`${thread} ${packet[60]} ${from.port}`));
      return index;
    });
    const expected: string[] = [];
    for (let sender = 0; sender < 20; sender++) {
      // Each from a port of its own: the kernel spreads by address and port.
      const socket = dgram.createSocket('udp4');
      cleanup.push(() => void socket.close());
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      for (const [thread, index] of indices.entries()) {
        expected.push(`${thread} ${sender} ${socket.address().port}`);
        socket.send(packetFor(index, sender), at, '127.0.0.1');
      }
    }
    await expect.poll(() => heard.length).toBe(expected.length);
    expect(new Set(heard)).toEqual(new Set(expected));
    expect(dropped.count).toBe(0);
  });

  it('have indices that tell the thread and nothing else', async () => {
    const { made } = await ports();
    for (const [thread, port] of made.entries()) {
      const drawn = Array.from({ length: 200 }, () => port.newIndex());
      expect(drawn.every((index) => index % THREADS === thread && index > 0 && index <= 0xffff_ffff)).toBe(true);
      expect(new Set(drawn).size).toBe(drawn.length);
      // From all of the range, not from a corner that could be tried out.
      expect(Math.max(...drawn)).toBeGreaterThan(2 ** 31);
      expect(Math.min(...drawn)).toBeLessThan(2 ** 31);
    }
  });

  it('stay within 32 bits at the end of the range', async () => {
    const draws = [Buffer.from('ffffffff', 'hex'), Buffer.from('00000000', 'hex'), Buffer.from('00000007', 'hex')];
    const [, second] = steerings();
    const steering =
      second ?? new ThreadSteering(0, createPacketWays(1)[0] ?? { ports: [], outstanding: new SharedArrayBuffer(4) });
    const port = await DatagramPort.bind(
      { host: '127.0.0.1', port: 0, steering },
      () => draws.shift() ?? Buffer.alloc(4, 1),
      () => {},
    );
    cleanup.push(() => port.close());
    // 0xffffffff is a multiple of 3: the index of thread 1 beside it would not fit.
    expect(port.newIndex()).toBe(1);
    expect(port.newIndex()).toBe(7);
  });

  it('are bounded on their way, and go on when the other thread has taken them', async () => {
    const [first, second] = steerings();
    const from = { address: '127.0.0.1', port: 9 };
    const handed = Array.from({ length: 1_030 }, () => first?.hand(1, packetFor(1), from));
    expect(handed.filter(Boolean)).toHaveLength(1_024);
    // Nobody listens there yet: they stay outstanding across turns of the loop.
    await new Promise((resolve) => setImmediate(resolve));
    expect(first?.hand(1, packetFor(1), from)).toBe(false);
    // Another pair is not held up.
    expect(first?.hand(2, packetFor(2), from)).toBe(true);
    let taken = 0;
    second?.receive(() => {
      taken += 1;
    });
    await expect.poll(() => taken).toBe(1_024);
    expect(first?.hand(1, packetFor(1), from)).toBe(true);
  });

  it('go by the port of the first thread where the second has none, as often as that begins', async () => {
    const dropped = { count: 0 };
    const drop = () => {
      dropped.count += 1;
    };
    const steering = new SecondSteering();
    const first = await DatagramPort.bind({ host: '127.0.0.1', port: 0, steering }, randomBytes, drop);
    const peer = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => peer.bind(0, '127.0.0.1', resolve));
    cleanup.push(() => {
      first.close();
      peer.close();
      steering.close();
    });
    const heard: string[] = [];
    peer.on('message', (packet, from) => {
      heard.push('peer');
      peer.send(packetFor(packet.readUInt32BE(60)), from.port, from.address);
    });
    for (const turn of [1, 2]) {
      const own = new ThreadSteering(1, steering.begin());
      const second = DatagramPort.ofFirst('127.0.0.1', own, randomBytes, drop);
      const index = second.newIndex();
      expect([index % 2, first.newIndex() % 2]).toEqual([1, 0]);
      second.register(index, () => heard.push(`second ${turn}`));
      const packet = packetFor(4);
      packet.writeUInt32BE(index, 60);
      second.send(packet, { address: '127.0.0.1', port: peer.address().port });
      await expect.poll(() => heard).toEqual(['peer', `second ${turn}`]);
      heard.length = 0;
      second.close();
      own.close();
      steering.end();
    }
    expect(dropped.count).toBe(0);
    expect(steering.hand(1, packetFor(1), { address: '127.0.0.1', port: 9 })).toBe(false);
  });

  it('are not handed to a thread that is none', () => {
    const [first] = steerings();
    expect(first?.hand(0, packetFor(3), { address: '127.0.0.1', port: 9 })).toBe(false);
    expect(first?.hand(9, packetFor(9), { address: '127.0.0.1', port: 9 })).toBe(false);
  });
});
