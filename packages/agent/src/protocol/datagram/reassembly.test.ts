import { describe, expect, it } from 'vitest';
import { PIECES_KEPT, Reassembly, WAIT_MS } from './reassembly.ts';

function create() {
  const lost = { count: 0 };
  const reassembly = new Reassembly(() => {
    lost.count += 1;
  });
  const add = (number: number, index: number, count: number, text: string, now = 0, flow = 7) =>
    lent(text, (piece) => reassembly.add(flow, number, index, count, piece, now)?.toString());
  return { lost, reassembly, add };
}

/** Pieces are good for the length of the call. */
function lent(text: string, use: (piece: Buffer) => string | undefined): string | undefined {
  const piece = Buffer.from(text);
  const answer = use(piece);
  piece.fill('!');
  return answer;
}

describe('a datagram in fragments', () => {
  it('is whole at its last piece, whichever that is', () => {
    const { add } = create();
    expect([add(1, 2, 3, 'c'), add(1, 0, 3, 'a'), add(1, 1, 3, 'b')]).toEqual([undefined, undefined, 'abc']);
    expect([add(1, 1, 2, 'b'), add(1, 0, 2, 'a')]).toEqual([undefined, 'ab']);
  });

  it('takes each piece once', () => {
    const { add } = create();
    expect([add(1, 0, 2, 'a'), add(1, 0, 2, 'x'), add(1, 1, 2, 'b')]).toEqual([undefined, undefined, 'ab']);
  });

  it('is told from others on their way, and from the one that had its number before', () => {
    const { add, lost } = create();
    add(1, 0, 2, 'a');
    add(2, 0, 2, 'x');
    expect(add(1, 1, 2, 'b')).toBe('ab');
    expect(lost.count).toBe(0);
    add(2, 1, 2, 'q', 0, 8);
    expect(lost.count).toBe(1);
    expect(add(2, 0, 2, 'p', 0, 8)).toBe('pq');
    add(3, 0, 2, 'a');
    add(3, 1, 3, 'b');
    expect(lost.count).toBe(2);
  });

  it('is given up when its last piece does not come', () => {
    const { add, lost, reassembly } = create();
    add(1, 0, 2, 'a', 0);
    add(2, 0, 2, 'a', 500);
    reassembly.expire(WAIT_MS);
    expect(lost.count).toBe(1);
    expect(add(1, 1, 2, 'b', WAIT_MS)).toBeUndefined();
    expect(add(2, 1, 2, 'b', WAIT_MS)).toBe('ab');
  });

  it('keeps few pieces, the newest, and no more bytes than a datagram has', () => {
    const { add, lost } = create();
    for (let number = 0; number < 10 * PIECES_KEPT; number++) add(number, 0, 255, 'a');
    expect(lost.count).toBe(9 * PIECES_KEPT);
    for (let index = 0; index < 60; index++) add(0xffff, index, 255, 'x'.repeat(1_300));
    expect(lost.count).toBeGreaterThan(9 * PIECES_KEPT + 9);
  });
});
