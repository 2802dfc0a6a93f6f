import { describe, expect, test } from 'vitest';
import { inPlaceKeys } from '../noise/pair.fixture.ts';
import { InPlace } from './in-place.ts';
import { codeOf, collect, keys, openerOf, pushTorn, type Sealing, sealed, sealerOf } from './record.fixture.ts';
import { RecordOpener, RecordSealer } from './record.ts';

describe('in place', () => {
  const LARGE: Sealing = ['AESGCM', 'small apart', 'in place'];

  test('is what is more than many small messages share, by both ends', () => {
    const place = new InPlace(inPlaceKeys.newKey);
    const sealer = new RecordSealer(keys(LARGE), 0, place);
    const told: boolean[] = [];
    const opener = new RecordOpener(keys(LARGE), (_pieces, owned) => told.push(owned), 0, place);
    const [before, made] = [inPlaceKeys.alive, [] as number[]];
    for (const length of [1, 16_384, 16_385]) {
      sealer.seal([Buffer.alloc(length)], (piece, owned) => {
        told.push(owned);
        opener.push(piece);
      });
      made.push(inPlaceKeys.alive - before);
    }
    for (const half of [sealer, opener]) half.close();
    // One piece and its plaintext; header, ciphertext and tag, and the plaintext; one piece and its plaintext.
    expect(told).toEqual([true, true, true, true, true, true, false, false]);
    expect(made).toEqual([0, 0, 2]);
  });

  test('what is sealed so opens otherwise, and the other way round', () => {
    const pieces = [9, 100_000, 0, 4_097, 4_096, 20].map((length, salt) => Buffer.alloc(length, salt + 1));
    const fresh: Sealing = ['AESGCM', 'small apart', 'in fresh memory'];
    for (const [one, other] of [
      [LARGE, fresh],
      [fresh, LARGE],
    ] as const) {
      const { opener, records } = collect(other);
      const sealer = sealerOf(one);
      for (let round = 0; round < 3; round++) {
        pushTorn(opener, sealed(sealer, ...pieces), [round, 70_000, 70_001 + round]);
        sealer.rekey();
        opener.rekey();
      }
      expect(records.map((record) => record.equals(Buffer.concat(pieces)))).toEqual([true, true, true]);
    }
  });

  test('a record is one piece in memory that is used again, and so is its plaintext', () => {
    const emitted: { readonly memory: ArrayBufferLike; readonly owned: boolean; readonly record: Buffer }[] = [];
    const sealer = sealerOf(LARGE);
    for (let round = 0; round < 4; round++) {
      sealer.seal([Buffer.alloc(9), Buffer.alloc(50_000, round)], (record, owned) => {
        emitted.push({ memory: record.buffer, owned, record: Buffer.from(record) });
      });
    }
    const opened: { readonly memory: ArrayBufferLike | undefined; readonly owned: boolean }[] = [];
    const opener = openerOf(LARGE, (pieces, owned) => opened.push({ memory: pieces[0]?.buffer, owned }));
    for (const { record } of emitted) opener.push(record);
    for (const seen of [emitted, opened]) {
      expect(seen.map(({ owned }) => owned)).toEqual([false, false, false, false]);
      expect(new Set(seen.map(({ memory }) => memory)).size).toBe(1);
    }
  });

  test('a tunnel in a tunnel has memory of its own, as have records that wait for their ends', () => {
    const [inner, outer] = [sealerOf(LARGE), sealerOf(LARGE)];
    const plaintext = Buffer.alloc(30_000, 'some words ');
    const records: Buffer[] = [];
    inner.seal([plaintext], (record) => outer.seal([Buffer.from('9 bytes: '), record], (both) => records.push(both)));
    const heard: Buffer[] = [];
    const openInner = openerOf(LARGE, (pieces) => heard.push(Buffer.concat(pieces)));
    const openOuter = openerOf(LARGE, ([piece]) => openInner.push(piece?.subarray(9) ?? Buffer.alloc(0)));
    openOuter.push(records[0] ?? Buffer.alloc(0));
    expect(heard[0]?.equals(plaintext)).toBe(true);

    const many = Array.from({ length: 9 }, (_, index) => Buffer.alloc(20_000, index));
    const torn = many.map((words) => ({ ...collect(LARGE), record: sealed(sealerOf(LARGE), words) }));
    for (const { opener, record } of torn) opener.push(record.subarray(0, 10_000));
    for (const { opener, record } of torn.reverse()) opener.push(record.subarray(10_000));
    for (const [index, { records: whole }] of torn.reverse().entries()) expect(whole).toEqual([many[index]]);
  });

  test('a record has one block from its first ciphertext to its end, and no more than 16 are kept for others', () => {
    const made: Buffer[] = [];
    let held = 0;
    class CountedPlace extends InPlace {
      override take(): Buffer<ArrayBuffer> {
        const block = super.take();
        held += 1;
        if (!made.includes(block)) made.push(block);
        return block;
      }
      override giveBack(block: Buffer<ArrayBuffer>): void {
        held -= 1;
        super.giveBack(block);
      }
    }
    const place = new CountedPlace(inPlaceKeys.newKey, 0);
    const record = sealed(sealerOf(LARGE), Buffer.alloc(20_000));
    /** So many records that come in parts, at once. */
    const round = (count: number): number[] => {
      const openers = Array.from({ length: count }, () => new RecordOpener(keys(LARGE), () => undefined, 0, place));
      const seen: number[] = [];
      let from = 0;
      for (const to of [4, 5, 10_000, record.length]) {
        for (const opener of openers) opener.push(record.subarray(from, to));
        from = to;
        seen.push(held);
      }
      for (const opener of openers) opener.close();
      return seen;
    };
    for (let again = 0; again < 3; again++) expect(round(16)).toEqual([0, 16, 16, 0]);
    expect(made.length).toBe(16);
    expect(round(20)).toEqual([0, 20, 20, 0]);
    expect(made.length).toBe(20);
    // Those that are let go of are freed at once.
    expect(made.filter(({ length }) => length === 0).length).toBe(4);

    // Who ends in between holds nothing.
    const opener = new RecordOpener(keys(LARGE), () => undefined, 0, place);
    opener.push(record.subarray(0, 9_000));
    opener.close();
    expect(held).toBe(0);
  });

  test('a key is made with the first record that is not small, and forgotten with its end', () => {
    const before = inPlaceKeys.alive;
    const keysMade = () => inPlaceKeys.alive - before;
    for (let round = 0; round < 50; round++) {
      const sealer = sealerOf(LARGE);
      const { opener, records } = collect(LARGE);
      opener.push(sealed(sealer, Buffer.from('small')));
      expect(keysMade()).toBe(0);
      const large = Buffer.alloc(9_000, round);
      opener.push(sealed(sealer, large));
      expect(keysMade()).toBe(2);
      for (const half of [sealer, opener]) half.rekey();
      opener.push(sealed(sealer, large));
      for (const half of [sealer, opener]) half.setKeys(keys(LARGE, 'another key'));
      opener.push(sealed(sealer, large));
      expect(keysMade()).toBe(2);
      expect(records.slice(1)).toEqual([large, large, large]);
      const half = sealed(sealer, large).subarray(0, 5_000);
      if (round % 3 === 0) opener.push(half);
      if (round % 3 === 1) expect(codeOf(() => opener.push(half.fill(0, 50, 60)))).toBe('no error');
      if (round % 3 === 1) expect(codeOf(() => opener.push(Buffer.alloc(5_000)))).toBe('forged');
      opener.close();
      sealer.close();
      expect(keysMade()).toBe(0);
      expect(codeOf(() => sealed(sealer, large))).toBe('closed');
      expect(codeOf(() => opener.push(half))).toBe('closed');
      expect(keysMade()).toBe(0);
    }
  });

  test('who closes while its record goes out, or comes in, makes no key again', () => {
    const before = inPlaceKeys.alive;
    const sealer = sealerOf(LARGE);
    let record = Buffer.alloc(0);
    sealer.seal([Buffer.alloc(5_000)], (piece) => {
      record = Buffer.from(piece);
      sealer.close();
    });
    expect(codeOf(() => sealed(sealer, Buffer.alloc(5_000)))).toBe('closed');
    const seen: string[] = [];
    const opener: RecordOpener = openerOf(LARGE, ([piece]) => {
      opener.close();
      // Another's record, opened meanwhile, lies elsewhere.
      const { opener: other } = collect(LARGE);
      other.push(sealed(sealerOf(LARGE), Buffer.alloc(5_000, 'x')));
      other.close();
      seen.push(`${piece?.length} ${piece?.every((byte) => byte === 0)}`);
    });
    opener.push(Buffer.concat([record, record]));
    expect(seen).toEqual(['5000 true']);
    // The sealers of this test that were not closed.
    expect(inPlaceKeys.alive - before).toBe(1);
  });
});
