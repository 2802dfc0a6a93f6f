import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { FakeKernel } from './native-calls.fixture.ts';
import { NAME_BYTES, NativeMessages } from './native-memory.ts';

const memory = new ArrayBuffer(100);
const messages = new NativeMessages(new FakeKernel(() => 0), 2, memory);

describe('what the kernel is shown', () => {
  test.each<readonly [string, () => unknown]>([
    ['headers beyond the last', () => messages.at(1, 2)],
    ['headers before the first', () => messages.at(-1, 1)],
    ['fewer headers than none', () => messages.at(0, -1)],
    ['a name of no header', () => messages.setName(2, 0)],
    ['a name that runs into the next', () => messages.setName(0, NAME_BYTES + 1)],
    ['a name written beyond its room', () => messages.writeName(0, new Uint8Array(NAME_BYTES + 1))],
    ['a name written to no header', () => messages.writeName(2, new Uint8Array(1))],
    ['a piece that is not there', () => messages.setPiece(2, 0, 1)],
    ['a piece before the first', () => messages.setPiece(-1, 0, 1)],
    ['a piece beyond the memory', () => messages.setPiece(0, 50, 51)],
    ['a piece before the memory', () => messages.setPiece(0, -1, 1)],
    ['a piece of no number', () => messages.setPiece(0, Number.NaN, 1)],
    ['more pieces than there are', () => messages.setPieces(0, 1, 2)],
    ['pieces of no header', () => messages.setPieces(2, 0, 1)],
    ['control data of no header', () => messages.setControl(2, 0, 0)],
    ['the length of no header', () => messages.lengthOf(2)],
  ])('is not %s', (_what, show) => {
    expect(show).toThrow(RangeError);
  });

  test('is up to the last of each', () => {
    messages.setPiece(1, 50, 50);
    messages.setPieces(1, 0, 2);
    messages.setName(1, NAME_BYTES);
    expect(messages.at(1, 1) - messages.at(0, 2)).toBe(64n);
  });

  test('cannot be handed to another thread', () => {
    const { port1, port2 } = new MessageChannel();
    for (const block of [memory, messages.names.buffer as ArrayBuffer]) {
      expect(() => port1.postMessage(block, [block])).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
    }
    port1.close();
    port2.close();
    expect(memory.byteLength).toBe(100);
  });
});
