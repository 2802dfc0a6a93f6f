/** A network may tear a stream of records anywhere: what comes out is the same, and none of it before its tag. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { directionKeys, inPlaceKeys, SEALINGS } from '../noise/pair.fixture.ts';
import { RecordError } from './errors.ts';
import { MAXIMUM_PLAINTEXT } from './format.ts';
import { InPlace } from './in-place.ts';
import { RecordOpener, RecordSealer } from './record.ts';

/** A record of pieces of these lengths, and how the key changes behind it. */
type Step = readonly [lengths: readonly number[], change?: 'rekey' | 'new key'];

/** Each way a record may be made: one byte, short, at and past the bounds of a small one and of one buffer, of many pieces; with keys that change. */
const MIXED: readonly Step[] = [
  [[5]],
  [[1]],
  [[4096], 'rekey'],
  [[1]],
  [[1, 0, 100, 3000]],
  [[4097], 'new key'],
  [[37, 4], 'rekey'],
  [[1025, 1024]],
  [[1000, 24], 'rekey'],
  [[1025]],
  [[2]],
];

/** Each is opened in place and otherwise; they are sealed the other way. */
const WAYS = SEALINGS.flatMap((sealing) => [
  [...sealing, 'in fresh memory'] as const,
  [...sealing, 'in place'] as const,
]);

type Sealing = (typeof WAYS)[number];

const memory = new InPlace(inPlaceKeys.newKey, 0);

const keys = ([cipher, small]: Sealing, words: string) => directionKeys(cipher, words, small);

function change(sealing: Sealing, half: RecordSealer | RecordOpener, how: Step[1]): void {
  if (how === 'rekey') half.rekey();
  if (how === 'new key') half.setKeys(keys(sealing, 'the second key'));
}

interface Sent {
  readonly bytes: Buffer;
  readonly plaintexts: readonly Buffer[];
  /** Where each record is whole. */
  readonly ends: readonly number[];
  readonly plan: readonly Step[];
}

/** Seals the plan. Neighbours differ, so a byte at a wrong place shows. */
function seal(sealing: Sealing, plan: readonly Step[]): Sent {
  const sealer = new RecordSealer(keys(sealing, 'the first key'), 0, sealing[2] === 'in place' ? undefined : memory);
  const out: Buffer[] = [];
  const plaintexts: Buffer[] = [];
  const ends: number[] = [];
  let end = 0;
  for (const [lengths, how] of plan) {
    const salt = plaintexts.length * 41;
    const pieces = lengths.map((length, piece) =>
      Buffer.from(Array.from({ length }, (_, at) => at * 7 + piece + salt)),
    );
    sealer.seal(pieces, (piece) => {
      out.push(Buffer.from(piece));
      end += piece.length;
    });
    plaintexts.push(Buffer.concat(pieces));
    ends.push(end);
    change(sealing, sealer, how);
  }
  return { bytes: Buffer.concat(out), plaintexts, ends, plan };
}

/** Takes the stream in pieces, and changes keys as the sender did. */
class Taker {
  readonly opened: Buffer[] = [];
  readonly #opener: RecordOpener;
  readonly #sent: Sent;
  #pushed = 0;

  constructor(sealing: Sealing, sent: Sent) {
    this.#sent = sent;
    const opened = (pieces: readonly Buffer[]): void => {
      const how = sent.plan[this.opened.length]?.[1];
      this.opened.push(Buffer.concat(pieces));
      change(sealing, this.#opener, how);
    };
    const place = sealing[2] === 'in place' ? memory : undefined;
    this.#opener = new RecordOpener(keys(sealing, 'the first key'), opened, 0, place);
  }

  /** Pushes the next bytes, from memory that others use after. Throws when a record was handed out early or late. */
  take(length: number): void {
    const chunk = Buffer.from(this.#sent.bytes.subarray(this.#pushed, this.#pushed + length));
    this.#pushed += chunk.length;
    this.#opener.push(chunk);
    chunk.fill(0xee);
    const whole = this.#sent.ends.filter((end) => end <= this.#pushed).length;
    if (this.opened.length !== whole) {
      throw new Error(`${this.opened.length} records opened of the ${whole} in ${this.#pushed} bytes`);
    }
  }

  takeAll(...lengths: readonly number[]): void {
    for (const length of lengths) this.take(length);
    this.take(this.#sent.bytes.length - this.#pushed);
    if (!this.#sent.plaintexts.every((plaintext, index) => this.opened[index]?.equals(plaintext))) {
      throw new Error(`another plaintext, torn at ${lengths}`);
    }
  }
}

/**
 * Where a stream is torn so that each kind of place is among them: all places of short records; of long ones what is close to their ends,
 * and to where a part is long enough to be opened by itself, seen from either end; and between those each place of a cipher's block of 64 bytes.
 */
function tears({ bytes, ends }: Sent): readonly number[] {
  const places = new Set<number>();
  const near = (place: number): void => {
    for (let at = place - 24; at <= place + 24; at++) if (at >= 0 && at <= bytes.length) places.add(at);
  };
  for (const [record, end] of ends.entries()) {
    const start = ends[record - 1] ?? 0;
    for (const bound of [0, 1024, 3072, 4096]) {
      if (start + bound < end) near(start + bound);
      if (end - bound > start) near(end - bound);
    }
  }
  for (let at = 0; at < bytes.length; at += 37) places.add(at);
  return [...places];
}

describe.each(WAYS)('a torn stream of records, %s, %s, opened %s', (...sealing) => {
  const sent = seal(sealing, MIXED);

  test('in two, at each kind of place', () => {
    // One record of each kind, and short ones around it.
    const few = seal(sealing, [[[5]], [[1000, 24], 'rekey'], [[1]], [[1025], 'new key'], [[2]], [[4097]], [[3]]]);
    for (const place of tears(few)) new Taker(sealing, few).takeAll(place);
  });

  test.each([1, 2, 3, 5, 16, 17, 4095, 4096, 4097])('in pieces of %i', (length) => {
    const taker = new Taker(sealing, sent);
    taker.takeAll(...Array<number>(Math.floor(sent.bytes.length / length)).fill(length));
    expect(taker.opened).toHaveLength(MIXED.length);
  });

  test('in three, where header, ciphertext and tag meet', () => {
    const few = seal(sealing, [[[5]], [[1]], [[1100], 'rekey'], [[1]]]);
    const [first = 0, second = 0, third = 0] = few.ends;
    // All of two short records, and both ends of a long one.
    const places = [...Array(second + 6).keys(), ...Array.from({ length: 26 }, (_, index) => third - 20 + index)];
    expect(first).toBe(4 + 5 + 16);
    for (const one of places) {
      for (const other of places) if (other >= one) new Taker(sealing, few).takeAll(one, other - one);
    }
  });

  test('of any records, at any places', () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 4000, max: 5200 }));
    const lengths = fc.array(length, { maxLength: 4 }).map((more) => [1, ...more]);
    const how = fc.constantFrom(undefined, undefined, 'rekey' as const, 'new key' as const);
    const plans = fc.array(
      fc.tuple(lengths, how).map(([pieces, then]): Step => (then === undefined ? [pieces] : [pieces, then])),
      { minLength: 1, maxLength: 8 },
    );
    const bit = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 6000 }));
    fc.assert(
      fc.property(plans, fc.array(bit, { maxLength: 200 }), (plan, bits) => {
        new Taker(sealing, seal(sealing, plan)).takeAll(...bits);
      }),
      { numRuns: 50 },
    );
  });

  test('with a bit flipped at any byte: the record before it came out, and nothing from there on', () => {
    const short = seal(sealing, [[[4], 'rekey'], [[9, 2]], [[6]]]);
    const [from = 0, to = 0] = short.ends;
    for (let at = from; at < to; at++) {
      for (const length of [1, 3, 17, short.bytes.length]) {
        // A longer length only asks for more bytes: they are there, so that nothing is left undecided.
        const bytes = Buffer.concat([short.bytes, Buffer.alloc(MAXIMUM_PLAINTEXT + 64)]);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        const taker = new Taker(sealing, { ...short, bytes, ends: [from] });
        const pieces = Math.ceil(short.bytes.length / length);
        expect(() => taker.takeAll(...Array<number>(pieces).fill(length))).toThrow(RecordError);
        expect(taker.opened).toEqual([short.plaintexts[0]]);
      }
    }
  });
});
