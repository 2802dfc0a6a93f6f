/** Connections that wait at a listener together: by one turn of the loop where there are native calls, and each its own. */
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { until } from '../until.fixture.ts';
import { setNative } from './inside/known.ts';
import { findNative } from './inside/native-calls.ts';
import { listenConduits } from './socket-listen.ts';

const CALLS = 40;

afterEach(() => setNative('not looked for'));

/** How many came in each turn, and the byte that each caller had back. */
async function callTogether(closesAfter = CALLS): Promise<{ turns: number[]; answers: (number | undefined)[] }> {
  const turns: number[] = [];
  let turn = -1;
  let accepted = 0;
  const listener = await listenConduits({ host: '127.0.0.1', port: 0 }, (conduit) => {
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
  });
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
