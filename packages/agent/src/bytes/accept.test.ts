/** Connections that wait at a listener together: by one turn of the loop where there are native calls, and each its own. */
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { until } from '../until.fixture.ts';
import { waits } from './handle.fixture.ts';
import { closeHandle, unblockHandle } from './handle.ts';
import { fullCollector } from './inside/collector.ts';
import { handleOf, setNative } from './inside/known.ts';
import { findNative } from './inside/native-calls.ts';
import type { SocketConduit } from './socket.ts';
import { listenConduits, listenHandle } from './socket-listen.ts';

const CALLS = 40;

afterEach(() => setNative('not looked for'));

/** How many came in each turn, and the byte that each caller had back. */
async function callTogether(
  closesAfter = CALLS,
  handed?: object,
): Promise<{ turns: number[]; answers: (number | undefined)[] }> {
  const turns: number[] = [];
  let turn = -1;
  let accepted = 0;
  const take = (conduit: SocketConduit): void => {
    if (turn === -1) {
      turn = turns.push(0) - 1;
      setImmediate(() => {
        turn = -1;
      });
    }
    turns[turn] = (turns[turn] ?? 0) + 1;
    accepted += 1;
    if (accepted === closesAfter) listener.close();
    conduit.attach({ data: (piece) => conduit.write(piece, false), end: () => conduit.end(), drain() {}, closed() {} });
  };
  const listener = await (handed === undefined
    ? listenConduits({ host: '127.0.0.1', port: 0 }, take)
    : listenHandle(handed, {}, take));
  const answers: (number | undefined)[] = Array.from({ length: CALLS }, () => undefined);
  let over = 0;
  for (const [index] of answers.entries()) {
    const caller = net.connect({ host: '127.0.0.1', port: listener.port });
    caller.on('error', () => undefined);
    caller.on('data', (piece) => {
      answers[index] = piece[0];
    });
    caller.on('close', () => {
      over += 1;
    });
    caller.end(Buffer.of(index));
  }
  await until(() => over === CALLS, 20_000);
  listener.close();
  return { turns, answers };
}

const all = Array.from({ length: CALLS }, (_, index) => index);

test.each([
  ['with native calls', () => setNative(findNative())],
  ['without', () => setNative('not wanted')],
])('every caller has its own answer, %s', async (_how, choose) => {
  choose();
  expect((await callTogether()).answers).toEqual(all);
});

test.skipIf(typeof findNative() === 'string')('several are taken in one turn, and not more than 16', async () => {
  setNative(findNative());
  const { turns } = await callTogether();
  expect(Math.max(...turns)).toBe(16);
  expect(turns.reduce((sum, count) => sum + count, 0)).toBe(CALLS);
});

test('a listener that is closed by one of them takes no more', async () => {
  setNative(findNative());
  const { turns, answers } = await callTogether(3);
  expect(turns.reduce((sum, count) => sum + count, 0)).toBe(3);
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(3);
});

/** As another process may have made it: who calls accept there waits. */
async function waitingListener(): Promise<object> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const handle = handleOf(server) as { setBlocking(on: boolean): number };
  handle.setBlocking(true);
  return handle;
}

test('nobody waits at a socket that another process made once it was told so', async () => {
  const handle = await waitingListener();
  expect(waits(handle)).toBe(true);
  unblockHandle(handle);
  expect(waits(handle)).toBe(false);
  closeHandle(handle);
});

test.skipIf(typeof findNative() === 'string')('of who calls such a listener one is taken in a turn', async () => {
  setNative(findNative());
  const handle = await waitingListener();
  // Else the test would stand where it fails.
  unblockHandle(handle);
  const { turns, answers } = await callTogether(CALLS, handle);
  expect(answers).toEqual(all);
  expect(Math.max(...turns)).toBe(1);
});

test('the handle of a connection that is over holds nothing of it', async () => {
  const collect = fullCollector();
  if (collect === undefined) throw new Error('nothing collects here');
  const handles: object[] = [];
  const used: WeakRef<object>[] = [];
  let over = 0;
  const take = (handle: object): boolean => {
    handles.push(handle);
    return false;
  };
  const elsewhere = { gate: { open: true }, take };
  const listener = await listenConduits({ host: '127.0.0.1', port: 0, elsewhere }, (conduit) => {
    used.push(new WeakRef(conduit));
    const closed = () => {
      over += 1;
    };
    conduit.attach({ data() {}, end: () => conduit.end(), drain() {}, closed });
  });
  net.connect({ host: '127.0.0.1', port: listener.port }).end();
  await until(() => over === 1, 20_000);
  listener.close();
  // What was looked at in a turn stays until that is over.
  await nextTurn();
  collect(false);
  expect(handles).toHaveLength(1);
  expect(used.map((each) => each.deref())).toEqual([undefined]);
});
