import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  AF_INET6,
  askConnection,
  askPort,
  QUESTION,
  readConnection,
  readPort,
  type ToldSocket,
} from './diagnosis-message.ts';

const CLIENT = { host: '127.80.0.7', port: 40_001 };
const CALLED = { host: '127.80.0.1', port: 6_379 };
const MAPPED = '00000000000000000000ffff';

interface Message {
  readonly sequence?: number;
  readonly type?: number;
  readonly flags?: number;
  readonly family?: number;
  readonly state?: number;
  readonly from?: string;
  readonly to?: string;
  readonly ports?: readonly [number, number];
  readonly uid?: number;
  readonly inode?: number;
  readonly attributes?: readonly (readonly [type: number, value: Buffer])[];
}

const group = (number: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(number);
  return bytes;
};

/** nlmsghdr, inet_diag_msg and attributes, as linux/inet_diag.h lays them out. */
function message({
  sequence = 7,
  type = 20,
  flags = 0,
  family = AF_INET,
  state = 1,
  from = '7f500007',
  to = '7f500001',
  ports = [CLIENT.port, CALLED.port],
  uid = 33,
  inode = 4_242,
  attributes = [
    [21, group(2n ** 40n + 5n)],
    [11, Buffer.from([1])],
  ],
}: Message = {}): Buffer {
  const body = Buffer.alloc(72);
  body.set([family, state]);
  body.writeUInt16BE(ports[0], 4);
  body.writeUInt16BE(ports[1], 6);
  body.write(from, 8, 'hex');
  body.write(to, 24, 'hex');
  body.writeUInt32LE(uid, 64);
  body.writeUInt32LE(inode, 68);
  const behind = attributes.map(([which, value]) => {
    const one = Buffer.alloc((4 + value.length + 3) & ~3);
    one.writeUInt16LE(4 + value.length, 0);
    one.writeUInt16LE(which, 2);
    one.set(value, 4);
    return one;
  });
  return framed(type, sequence, flags, Buffer.concat([body, ...behind]));
}

function framed(type: number, sequence: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeUInt16LE(type, 4);
  head.writeUInt16LE(flags, 6);
  head.writeUInt32LE(sequence, 8);
  return Buffer.concat([head, body]);
}

function failure(errno: number, sequence = 7): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  return framed(2, sequence, 0, body);
}

/** Of a list. */
function ended(errno: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeInt32LE(-errno);
  return framed(3, 7, 2, body);
}

/** As received into memory that held other answers before. */
function received(...messages: readonly Buffer[]): readonly [DataView, number] {
  const all = Buffer.concat(messages);
  const memory = new Uint8Array(all.length + 200).fill(0xff);
  memory.set(all);
  return [new DataView(memory.buffer), all.length];
}

const connection = (...messages: readonly Buffer[]) => readConnection(...received(...messages), 7, CLIENT, CALLED);

function port(...messages: readonly Buffer[]) {
  const told: ToldSocket[] = [];
  return { come: readPort(...received(...messages), 7, 'tcp', told), told };
}

it('asks for one connection by its addresses', () => {
  const asked = new DataView(new Uint8Array(QUESTION).fill(0xee).buffer);
  askConnection(asked, 0x01020304, CLIENT, CALLED);
  expect(Buffer.from(asked.buffer).toString('hex')).toBe(
    // nlmsghdr: 72 bytes, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST; AF_INET, IPPROTO_TCP, every state
    `48000000${'1400'}${'0100'}${'04030201'}00000000${'02060000'}ffffffff` +
      `9c4118eb${'7f500007'}${'0'.repeat(24)}${'7f500001'}${'0'.repeat(24)}${'00000000'}ffffffffffffffff`,
  );
});

it('asks for who has a port', () => {
  const asked = new DataView(new ArrayBuffer(QUESTION));
  const hex = () => Buffer.from(asked.buffer).toString('hex').slice(0, 56);
  askPort(asked, 1, AF_INET6, 'tcp', 6_379);
  expect(hex()).toBe('480000001400010301000000000000000a0600000004000018eb0000');
  askPort(asked, 2, AF_INET, 'udp', 0);
  expect(hex()).toBe('4800000014000103020000000000000002110000ffffffff00000000');
});

describe('what the kernel says of a connection', () => {
  it('is who made its socket, and in which control group', () => {
    expect(connection(message())).toEqual({ inode: '4242', uid: 33, group: '1099511627781' });
    expect(connection(message({ attributes: [] }))).toEqual({ inode: '4242', uid: 33 });
    // One of root's in a socket of IPv6.
    const mapped = { family: AF_INET6, from: `${MAPPED}7f500007`, to: `${MAPPED}7f500001`, uid: 0 };
    expect(connection(message(mapped))).toMatchObject({ uid: 0 });
  });

  it.each([
    ['another caller', { from: '7f500008' }],
    ['another that is called', { to: '7f500002' }],
    ['another port of the caller', { ports: [40_002, 6_379] }],
    ['another port that is called', { ports: [40_001, 6_380] }],
    ['an address of IPv6 that only ends alike', { family: AF_INET6, from: `${'0'.repeat(24)}7f500007` }],
    ['who listens there', { state: 10 }],
    ['one that waits out its time', { inode: 0 }],
  ] satisfies readonly (readonly [string, Message])[])('is none where it tells of %s', (_, of) => {
    expect(connection(message(of))).toBe('none');
  });

  it('is none where the kernel has none, and unknown where it fails otherwise', () => {
    expect(connection(failure(2))).toBe('none');
    expect(connection(failure(1))).toBe('unknown');
    expect(connection(failure(0))).toBe('unknown');
    expect(connection(message({ type: 3 }))).toBe('unknown');
    // On its way still, so it is none that was accepted.
    expect(connection(message({ state: 2 }))).toBe('none');
    expect(connection(message({ family: 1 }))).toBe('unknown');
  });

  it('is of another question where it says so', () => {
    expect(connection(message({ sequence: 6 }))).toBe('other');
    expect(connection(failure(2, 8))).toBe('other');
  });

  it('is believed only as far as it goes', () => {
    const whole = message();
    for (let length = 0; length < whole.length; length++) {
      expect(connection(whole.subarray(0, length))).toBe('unknown');
      // And where it says of itself that it ends there, it has no attribute that goes further.
      const shorter = Buffer.from(whole.subarray(0, length));
      if (length >= 4) shorter.writeUInt32LE(length, 0);
      const found = connection(shorter);
      if (typeof found === 'object') expect(found.group === undefined || length >= 100).toBe(true);
      else expect(found === 'unknown' || found === 'other').toBe(true);
    }
    const [view] = received(whole);
    expect(readConnection(view, view.byteLength + 1, 7, CLIENT, CALLED)).toBe('unknown');
    for (const size of [0, 3, 11, 200, 0xffff]) {
      const long = Buffer.from(whole);
      long.writeUInt16LE(size, 88);
      expect(connection(long)).toEqual({ inode: '4242', uid: 33 });
    }
  });
});

describe('what the kernel says of a port', () => {
  const listening = { state: 10, from: '00000000', to: '00000000', ports: [6_379, 0] } as const;

  it('is told in parts, each of several', () => {
    const six = { ...listening, family: AF_INET6, from: '0'.repeat(32), to: '0'.repeat(32) };
    const { come, told } = port(message(listening), message({ ...six, uid: 5, attributes: [[11, Buffer.from([0])]] }));
    expect(come).toBe('more');
    expect(told).toMatchObject([
      { address: '00000000', port: 6_379, taking: true, alone: true, socket: { uid: 33 } },
      { address: '0'.repeat(32), port: 6_379, taking: true, alone: false, socket: { uid: 5 } },
    ]);
    expect(port(ended(0)).come).toBe('done');
    expect(port(framed(3, 7, 2, Buffer.alloc(0))).come).toBe('done');
  });

  it('is passed over where it is of another question', () => {
    expect(port(message({ ...listening, sequence: 6 }), framed(3, 6, 2, Buffer.alloc(4)))).toEqual({
      come: 'more',
      told: [],
    });
  });

  it('is unknown where the kernel fails, its table changed meanwhile, or it goes further than it is long', () => {
    expect(port(failure(1)).come).toBe('unknown');
    // It has nothing to list such sockets by: that is not to say that there are none.
    expect(port(failure(2)).come).toBe('unknown');
    expect(port(ended(2)).come).toBe('unknown');
    // In the midst of it, as where there is no memory.
    expect(port(message(listening), ended(12)).come).toBe('unknown');
    expect(port(message({ ...listening, flags: 0x10 })).come).toBe('unknown');
    const two = Buffer.concat([message(listening), message(listening)]);
    for (const length of [1, 15, 16, two.length / 2 - 1, two.length / 2 + 1, two.length - 1])
      expect(port(two.subarray(0, length)).come).toBe('unknown');
    const none = Buffer.from(two);
    none.writeUInt32LE(0, 0);
    expect(port(none).come).toBe('unknown');
  });
});
