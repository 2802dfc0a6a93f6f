import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../until.fixture.ts';
import { receiveBatches } from './batch-input.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { nativeCause, setNative } from './known.ts';
import { type Came, FakeKernel } from './native-calls.fixture.ts';
import { batched, findNative } from './native-calls.ts';

const AGAIN = -11;
const descriptorOf = (of: dgram.Socket) => datagramHandleOf(of)?.fd;
/** Of struct cmsghdr, SOL_UDP and UDP_GRO. */
const joined = (segment: number, { length = 20, level = 17, type = 104 } = {}) => [length, 0, level, type, segment];
const bytes = Buffer.from(Array.from({ length: 10 }, (_, index) => index));

let socket: dgram.Socket;

async function bound(): Promise<dgram.Socket> {
  const made = dgram.createSocket('udp4');
  made.bind(0, '127.0.0.1');
  await once(made, 'listening');
  return made;
}

beforeEach(async () => {
  socket = await bound();
});

afterEach(() => socket.close());

/** What is heard of one call of the kernel's that brings these, and of the one after it, which brings one that is as it should be. */
async function heardOf(...came: readonly Came[]): Promise<(readonly number[])[]> {
  const answers: (number | readonly Came[])[] = [came, AGAIN, [{ bytes: Buffer.from('last') }]];
  const kernel = new FakeKernel(
    () => 0,
    () => answers.shift() ?? AGAIN,
  );
  const heard: (readonly number[])[] = [];
  let last = false;
  const taken = receiveBatches(socket, kernel, (datagram, from) => {
    expect(from).toEqual({ address: '127.0.0.1', port: 9 });
    if (String(datagram) === 'last') last = true;
    else heard.push([...datagram]);
  });
  expect(taken).toBe(true);
  socket.send('rings', socket.address().port, '127.0.0.1');
  await until(() => last);
  return heard;
}

// Which sockets have something is told by the real kernel.
describe.skipIf(typeof findNative() === 'string')('what comes as one message', () => {
  test('is one datagram where nothing else is said', async () => {
    expect(await heardOf({ bytes })).toEqual([[...bytes]]);
  });

  test('is as many as are said, of one length, with a shorter last', async () => {
    const came = { bytes, control: joined(4) };
    expect(await heardOf(came, { bytes: Buffer.of(7) }, came)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
      [7],
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
  });

  test.each([
    ['as long as all of it', joined(10)],
    ['longer', joined(11)],
    ['the longest that can be said', joined(0x7fff_ffff)],
  ])('is one where each would be %s', async (_what, control) => {
    expect(await heardOf({ bytes, control })).toEqual([[...bytes]]);
  });

  test.each<readonly [string, Partial<Came>]>([
    ['of no length', { control: joined(0) }],
    ['of less than none', { control: joined(-1) }],
    ['shorter than a length is', { control: joined(4, { length: 18 }) }],
    ['longer than a length is', { control: joined(4, { length: 24 }) }],
    ['that is not all there', { control: joined(4), controlLength: 16 }],
    ['that the kernel had to cut', { control: joined(4), flags: 0x08 }],
    ['that had no room', { control: [], flags: 0x08 }],
    ['of a message that was cut', { flags: 0x20 }],
  ])('is nothing where control data came %s', async (_what, wrong) => {
    const { unparted } = batched;
    expect(await heardOf({ bytes, ...wrong }, { bytes: Buffer.of(7) })).toEqual([[7]]);
    expect(batched.unparted - unparted).toBe(1);
  });

  test.each([
    ['level', joined(4, { level: 0 })],
    ['type', joined(4, { type: 103 })],
  ])('is one where control data of another %s alone came, and as many as are said behind it', async (_what, other) => {
    const both = [...other, 0, ...joined(8)];
    expect(await heardOf({ bytes, control: other }, { bytes, control: both })).toEqual([
      [...bytes],
      [0, 1, 2, 3, 4, 5, 6, 7],
      [8, 9],
    ]);
  });

  test('takes its share of a turn also where nothing of it is handed on', async () => {
    const wrong = { bytes: Buffer.of(1), control: joined(0) };
    const full = Array.from({ length: 8 }, () => wrong);
    let calls = 0;
    const turns: number[] = [];
    const kernel = new FakeKernel(
      () => 0,
      () => {
        if (calls++ === 0) {
          setImmediate(() => {
            turns.push(calls);
            calls = 0;
          });
        }
        // A sender that keeps it full; not for ever, lest a fault hold up the test.
        return calls > 50 ? AGAIN : full;
      },
    );
    receiveBatches(socket, kernel, () => {});
    socket.send('rings', socket.address().port, '127.0.0.1');
    await until(() => turns.length > 0);
    expect(turns[0]).toBe(16);
  });

  test('is bounded in a turn of the loop, however it comes, and another socket that rings is heard in the next', async () => {
    const other = dgram.createSocket('udp4');
    onTestFinished(() => void other.close());
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    const alone = { bytes: Buffer.of(0) };
    const many = { bytes: Buffer.alloc(128), control: joined(1) };
    const turns = new Map<number, { many: number; few: number }>();
    const turn = () => {
      const { loopCount } = performance.nodeTiming.uvMetricsInfo;
      return turns.get(loopCount) ?? turns.set(loopCount, { many: 0, few: 0 }).get(loopCount) ?? { many: 0, few: 0 };
    };
    const kernel = new (class extends FakeKernel {
      override receiveMany(descriptor: number, headers: bigint, count: number): number {
        // First alone and then joined, as who wants to hold up the thread sends it.
        if (descriptor === descriptorOf(other)) came = turn().few > 0 ? AGAIN : [alone];
        else came = Array.from({ length: count }, () => (turn().many < 120 ? alone : many));
        return super.receiveMany(descriptor, headers, count);
      }
    })(
      () => 0,
      () => came,
    );
    let came: number | readonly Came[] = AGAIN;
    // Nobody reads what rings, so both ring until they are closed.
    receiveBatches(socket, kernel, () => (turn().many += 1));
    receiveBatches(other, kernel, () => (turn().few += 1));
    for (const { address, port } of [socket.address(), other.address()]) socket.send('rings', port, address);
    await until(() => turns.size >= 20);
    const both = [...turns.values()].slice(2);
    const most = Math.max(...both.map((each) => each.many));
    expect([most > 8 * 128, most < 9 * 128]).toEqual([true, true]);
    expect(both.every(({ few }, index) => index === 0 || few + (both[index - 1]?.few ?? 0) === 1)).toBe(true);
  });

  test('is as many as were handed on of it, where its socket is closed meanwhile', async () => {
    const before = { ...batched };
    const other = dgram.createSocket('udp4');
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    const answers = [[{ bytes, control: joined(1) }, { bytes }]];
    const kernel = new FakeKernel(
      () => 0,
      () => answers.shift() ?? AGAIN,
    );
    let heard = 0;
    receiveBatches(other, kernel, () => {
      heard += 1;
      if (heard === 4) other.close();
    });
    socket.send('rings', other.address().port, '127.0.0.1');
    await once(other, 'close');
    expect([heard, batched.received - before.received, batched.joined - before.joined]).toEqual([4, 4, 4]);
  });

  test('is one where it is empty, whatever is said', async () => {
    expect(await heardOf({ bytes: Buffer.alloc(0) }, { bytes: Buffer.alloc(0), control: joined(4) })).toEqual([[], []]);
  });
});

test.skipIf(typeof findNative() === 'string')(
  'come one by one as long as no epoll is to be had, which is told',
  async () => {
    let files = false;
    const kernel = new (class extends FakeKernel {
      override pollInstead(descriptor: number): number {
        return files ? super.pollInstead(descriptor) : -24;
      }
    })(
      () => 0,
      () => [{ bytes: Buffer.from('by one call') }],
    );
    setNative(kernel);
    const [quiet, next] = [await bound(), await bound()];
    try {
      const heard: string[] = [];
      expect(receiveBatches(socket, kernel, (datagram) => heard.push(String(datagram)))).toBe(true);
      const send = async (count: number) => {
        const { length } = heard;
        for (let sent = 0; sent < count; sent++) socket.send('by Node', socket.address().port, '127.0.0.1');
        await until(() => heard.length >= length + count);
      };
      await send(1);
      expect([heard, nativeCause()]).toEqual([['by Node'], expect.stringMatching(/^1 of its UDP sockets/)]);
      receiveBatches(quiet, kernel, () => undefined);
      expect(nativeCause()).toMatch(/^2 /);
      files = true;
      // The next one has it at once, and who came before does before long, also where nothing comes.
      receiveBatches(next, kernel, () => undefined);
      expect(nativeCause()).toMatch(/^2 /);
      await until(() => nativeCause() === '');
      expect(heard).toEqual(['by Node']);
      await send(1);
      expect(heard.at(-1)).toBe('by one call');
    } finally {
      for (const each of [quiet, next]) each.close();
      setNative('not looked for');
    }
  },
);
