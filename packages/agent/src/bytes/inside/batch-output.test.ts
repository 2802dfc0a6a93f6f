import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batchOutput, gatheringOf, type SingleOutput } from './batch-output.ts';
import type { Numbered } from './known.ts';
import { FakeKernel, type Message } from './native-calls.fixture.ts';

const AGAIN = -11;
const INVALID = -22;
const NO_BUFFERS = -105;
const REFUSED = -111;

let socket: dgram.Socket;

beforeAll(async () => {
  socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
});

afterAll(() => socket.close());

/** What went, in its order: the lengths of those that one call took, or of one that went alone. */
let went: (readonly number[] | number)[];
let shown: (readonly Message[])[];
let dropped: (string | undefined)[];
/** What the next calls answer; when there is no more, all that is asked. */
let answers: number[];
let waits: boolean;
let handle: { fd: number };

const kernel = new FakeKernel((messages) => {
  shown.push(messages);
  const sent = answers.shift() ?? messages.length;
  for (const { pieces } of messages.slice(0, Math.max(sent, 0))) went.push(pieces);
  return sent;
});
const gathering = gatheringOf(kernel);
const alone = (datagram: Buffer) => {
  went.push(datagram.length);
};
const single: SingleOutput = {
  sendConnected: alone,
  send: alone,
  get waits() {
    return waits;
  },
};

function output(
  of: Numbered = handle,
  told: (cause: Error | undefined) => void = (cause) => dropped.push(cause?.message),
) {
  const made = batchOutput(socket, kernel, of, single, told);
  if (made === undefined) throw new Error('the handle shows no number');
  return made;
}

function gathered(send: () => void): void {
  gathering.during(send);
}

beforeEach(() => {
  went = [];
  shown = [];
  dropped = [];
  answers = [];
  waits = false;
  handle = { fd: 3 };
});

const send = (out: ReturnType<typeof output>, lengths: readonly number[], port = 9) => {
  for (const length of lengths) out.send(Buffer.alloc(length), port, '127.0.0.1');
};

describe('what is sent while a batch is served', () => {
  test('goes when it ends, neighbours of one length as one message that is cut', () => {
    const out = output();
    gathered(() => {
      send(out, [100, 100, 40, 200]);
      send(out, [200], 10);
      out.sendConnected(Buffer.alloc(7));
      expect(shown).toEqual([]);
    });
    expect(shown).toEqual([
      [
        { pieces: [100, 100, 40], cut: 100, port: 9 },
        { pieces: [200], cut: undefined, port: 9 },
        { pieces: [200], cut: undefined, port: 10 },
        { pieces: [7], cut: undefined, port: undefined },
      ],
    ]);
  });

  test('goes on from where the kernel took no more', () => {
    answers = [1];
    gathered(() => send(output(), [1, 2, 3]));
    expect(shown.map((messages) => messages.length)).toEqual([3, 2]);
    expect(went).toEqual([[1], [2], [3]]);
  });

  test.each([
    ['no room', AGAIN],
    ['no buffers', NO_BUFFERS],
  ])('goes in its order where the kernel has %s', (_what, error) => {
    answers = [error];
    const out = output();
    single.send = (datagram) => {
      alone(datagram);
      waits = true;
    };
    gathered(() => send(out, [100, 100, 100, 200, 200]));
    single.send = alone;
    expect(went).toEqual([100, 100, 100, 200, 200]);
    // It refused no cutting: the next are cut as ever.
    waits = false;
    gathered(() => send(out, [100, 100]));
    expect(went.at(-1)).toEqual([100, 100]);
  });

  test('goes one by one to a place whose messages are not cut, for a while that grows, and to no other', () => {
    const out = output();
    const pair = (port?: number) => gathered(() => send(out, [100, 100], port));
    /** Datagrams until the kernel is asked again. */
    const untilAsked = (answer: number) => {
      for (let datagrams = 0; ; datagrams += 2) {
        shown = [];
        const before = went.length;
        answers = [answer];
        pair();
        if (shown[0]?.[0]?.cut !== undefined) return datagrams;
        expect(went).toHaveLength(before + 2);
      }
    };
    expect(untilAsked(INVALID)).toBe(0);
    expect(went).toEqual([100, 100]);
    pair(10);
    expect(went.at(-1)).toEqual([100, 100]);
    expect([INVALID, INVALID, 1, INVALID, 1].map(untilAsked)).toEqual([64, 128, 256, 0, 64]);
  });

  test('is told of a failure that was kept for it, and the rest goes', () => {
    answers = [REFUSED];
    gathered(() => send(output(), [1, 2]));
    expect(dropped).toEqual(['send ECONNREFUSED']);
    expect(went).toEqual([[2]]);
  });

  test('is with what is sent by those that asked to be called last, once each and in that batch alone', () => {
    const out = output();
    expect(gathering.atEnd(() => send(out, [9]))).toBe(false);
    gathered(() => {
      expect(gathering.atEnd(() => send(out, [3]))).toBe(true);
      send(out, [1, 2]);
    });
    gathered(() => send(out, [4]));
    expect(went).toEqual([[1], [2], [3], [4]]);
  });

  test('is told of as dropped where its socket was closed meanwhile', () => {
    gathered(() => {
      send(output(), [1, 2]);
      handle.fd = -9;
    });
    expect(shown).toEqual([]);
    expect(dropped).toEqual(['send EBADF', 'send EBADF']);
  });

  test('goes in the next batch as well, where who was told of a failure threw', () => {
    answers = [REFUSED];
    const [failing, innocent] = [
      output(handle, () => {
        throw new Error('a fault');
      }),
      output(),
    ];
    const both = () => {
      send(failing, [1]);
      send(innocent, [2]);
    };
    expect(() => gathered(both)).toThrow('a fault');
    gathered(both);
    expect(went).toEqual([[1], [2]]);
  });

  test('is sent when there is room for no more, and what is too large goes by itself, in its order', () => {
    gathered(() => {
      send(output(), [...Array<number>(65).fill(0), 2_049]);
      expect(went).toHaveLength(66);
    });
    expect(shown.map((messages) => messages.length)).toEqual([64, 1]);
    expect(went.at(-1)).toBe(2_049);
  });
});

test('what is to be called when a batch ends is called in its order, also behind one that fails', () => {
  const called: string[] = [];
  const call = (name: string) => () => {
    called.push(name);
    if (name === 'first') gathering.atEnd(call('for the first'));
    if (name === 'second') throw new Error('a fault');
  };
  expect(() =>
    gathering.during(() => {
      for (const name of ['first', 'second', 'third']) gathering.atEnd(call(name));
    }),
  ).toThrow('a fault');
  gathering.during(() => undefined);
  expect(called).toEqual(['first', 'second', 'third', 'for the first']);
});
