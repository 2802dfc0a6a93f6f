import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CipherName, COUNTER_LIMIT } from '../noise/cipher.ts';
import { bytesOf, SEALINGS } from '../noise/pair.fixture.ts';
import { SMALL_LIMIT } from '../noise/small-cipher.ts';
import { MAXIMUM_PLAINTEXT } from './format.ts';
import { codeOf, collect, keys, openerOf, pushTorn, type Sealing, sealed, sealerOf } from './record.fixture.ts';
import { RecordOpener, RecordSealer } from './record.ts';

const WAYS = SEALINGS.flatMap((sealing) => [
  [...sealing, 'in fresh memory'] as const,
  [...sealing, 'in place'] as const,
]);

const PLAIN: Sealing = ['AESGCM', 'all alike'];

/** ENCRYPT(k, n, ad, plaintext) straight from node:crypto, with the nonce written out. */
function encrypt(cipher: CipherName, raw: Buffer, nonce: string, ad: Buffer, plaintext: Buffer): Buffer {
  const options = { authTagLength: 16 };
  const iv = Buffer.from(nonce, 'hex');
  const aead =
    cipher === 'AESGCM'
      ? createCipheriv('aes-256-gcm', raw, iv, options)
      : createCipheriv('chacha20-poly1305', raw, iv, options);
  aead.setAAD(ad, { plaintextLength: plaintext.length });
  return Buffer.concat([aead.update(plaintext), aead.final(), aead.getAuthTag()]);
}

/** The sealing of a small record, and of one that is larger, under the same counter. */
function rawly(sealing: Sealing) {
  const [cipher, small] = sealing;
  const nonce = (of: CipherName, hex: string) => {
    const counter = of === 'AESGCM' ? hex : (hex.match(/../g) ?? []).reverse().join('');
    return `00000000${counter}`;
  };
  const [smallCipher, smallWords] =
    small === 'small apart' ? (['ChaChaPoly', 'small a key'] as const) : [cipher, 'a key'];
  return {
    small: { cipher: smallCipher, key: bytesOf(smallWords), nonce: (hex: string) => nonce(smallCipher, hex) },
    large: { cipher, key: bytesOf('a key'), nonce: (hex: string) => nonce(cipher, hex) },
  };
}

describe.each(WAYS)('records with %s, %s, %s', (...sealing) => {
  test('a record is length, ciphertext, tag, under the counter as Noise writes it', () => {
    const sealer = sealerOf(sealing, 0x0102_0304_0506);
    const { small } = rawly(sealing);
    const header = Buffer.of(0, 0, 0, 5 + 16);
    const body = encrypt(small.cipher, small.key, small.nonce('0000010203040506'), header, Buffer.from('hello'));
    const expected = Buffer.concat([header, body]);
    expect(sealed(sealer, Buffer.from('he'), Buffer.alloc(0), Buffer.from('llo'))).toEqual(expected);
  });

  test('its length says which key seals it, and all records of a direction share one counter', () => {
    const sealer = sealerOf(sealing);
    const { small, large } = rawly(sealing);
    const plan = [SMALL_LIMIT, SMALL_LIMIT + 1, 1, 9000];
    plan.forEach((length, index) => {
      const { cipher, key, nonce } = length <= SMALL_LIMIT ? small : large;
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length + 16);
      const plaintext = Buffer.alloc(length, index + 1);
      const body = encrypt(cipher, key, nonce(`000000000000000${index}`), header, plaintext);
      expect(sealed(sealer, plaintext).equals(Buffer.concat([header, body]))).toBe(true);
    });
  });

  test('a small record and a large one that change places are refused', () => {
    const sealer = sealerOf(sealing);
    const [large, small] = [sealed(sealer, Buffer.alloc(2000)), sealed(sealer, Buffer.from('small'))];
    for (const wrong of [[small, large], [small], [large, large]]) {
      const { opener } = collect(sealing);
      expect(codeOf(() => opener.push(Buffer.concat(wrong)))).toBe('forged');
    }
  });

  test('any tearing of any stream gives the same records', () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 9000 }));
    const streams = fc.array(fc.array(sizes, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(streams, fc.array(fc.nat(100_000), { maxLength: 40 }), (plan, cuts) => {
        const sealer = sealerOf(sealing);
        const sent = plan.map((lengths) => lengths.map((length, index) => Buffer.alloc(length, index + length)));
        const bytes = Buffer.concat(sent.map((pieces) => sealed(sealer, ...pieces)));
        const { opener, records } = collect(sealing);
        pushTorn(opener, bytes, cuts);
        expect(records).toEqual(sent.map((pieces) => Buffer.concat(pieces)));
      }),
      { numRuns: 60 },
    );
  });

  test('torn at each single byte, and into single bytes', () => {
    const sealer = sealerOf(sealing);
    const bytes = Buffer.concat([sealed(sealer, Buffer.from('first')), sealed(sealer, Buffer.from('second'))]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { opener, records } = collect(sealing);
      pushTorn(opener, bytes, [cut]);
      expect(records.map(String)).toEqual(['first', 'second']);
    }
    const { opener, records } = collect(sealing);
    pushTorn(opener, bytes, [...bytes.keys()]);
    expect(records.map(String)).toEqual(['first', 'second']);
  });

  test('any flipped bit is refused, and nothing of that record comes out', () => {
    const record = sealed(sealerOf(sealing), Buffer.from('some words'));
    for (let at = 0; at < record.length * 8; at++) {
      const altered = Buffer.from(record);
      altered[at >> 3] = (altered[at >> 3] ?? 0) ^ (1 << (at & 7));
      const { opener, records } = collect(sealing);
      // A longer length only asks for more bytes: give them.
      const code = codeOf(() => {
        opener.push(altered);
        opener.push(Buffer.alloc(MAXIMUM_PLAINTEXT + 64));
      });
      expect(['forged', 'oversized', 'undersized']).toContain(code);
      expect(records).toEqual([]);
      expect(codeOf(() => opener.push(record))).toBe('closed');
    }
  });

  test('a replayed, dropped or reordered record is refused', () => {
    const sealer = sealerOf(sealing);
    const [one, two] = [sealed(sealer, Buffer.from('one')), sealed(sealer, Buffer.from('two'))];
    for (const wrong of [[one, one], [two], [two, one]]) {
      const { opener } = collect(sealing);
      expect(codeOf(() => opener.push(Buffer.concat(wrong)))).toBe('forged');
    }
  });

  test('REKEY is the first 32 bytes of ENCRYPT(k, 2^64 - 1, zerolen, zeros), and the counter goes on', () => {
    const sealer = sealerOf(sealing);
    sealed(sealer, Buffer.from('before'));
    sealer.rekey();
    const zeros = Buffer.alloc(32);
    const { small, large } = rawly(sealing);
    [small, large].forEach(({ cipher, key, nonce }, index) => {
      const next = encrypt(cipher, key, nonce('ff'.repeat(8)), Buffer.alloc(0), zeros).subarray(0, 32);
      const plaintext = Buffer.alloc(index === 0 ? 5 : 2000, 'after');
      const header = Buffer.alloc(4);
      header.writeUInt32BE(plaintext.length + 16);
      const expected = encrypt(cipher, next, nonce(`000000000000000${index + 1}`), header, plaintext);
      expect(sealed(sealer, plaintext).equals(Buffer.concat([header, expected]))).toBe(true);
    });
  });

  test('rekey and new keys in step, told by the records themselves, all in one chunk', () => {
    const sealer = sealerOf(sealing);
    const parts: Buffer[] = [];
    for (let round = 0; round < 5; round++) {
      parts.push(sealed(sealer, Buffer.from(`data ${round}`)), sealed(sealer, Buffer.from('rekey')));
      sealer.rekey();
    }
    parts.push(sealed(sealer, Buffer.from('switch')));
    sealer.setKeys(keys(sealing, 'another key'));
    parts.push(sealed(sealer, Buffer.from('end')));

    const records: string[] = [];
    const opener: RecordOpener = openerOf(sealing, (pieces) => {
      const record = Buffer.concat(pieces).toString();
      records.push(record);
      if (record === 'rekey') opener.rekey();
      if (record === 'switch') opener.setKeys(keys(sealing, 'another key'));
    });
    opener.push(Buffer.concat(parts));
    expect(records.filter((record) => record !== 'rekey')).toEqual([
      ...[0, 1, 2, 3, 4].map((round) => `data ${round}`),
      'switch',
      'end',
    ]);
    expect([sealer.recordsSinceKey, sealer.bytesSinceKey]).toEqual([1, 3]);
  });

  test('one side that rekeys alone is not understood', () => {
    const sealer = sealerOf(sealing);
    sealer.rekey();
    expect(codeOf(() => collect(sealing).opener.push(sealed(sealer, Buffer.from('lost'))))).toBe('forged');
  });

  test('the largest record passes, torn small, in few pieces', () => {
    const plaintext = Buffer.alloc(MAXIMUM_PLAINTEXT, 'a large record ');
    const record = sealed(sealerOf(sealing), plaintext.subarray(0, 10), plaintext.subarray(10));
    const opened: Buffer[][] = [];
    const opener = openerOf(sealing, (pieces) => opened.push(pieces.map((piece) => Buffer.from(piece))));
    const step = 61;
    for (let at = 0; at < record.length; at += step) opener.push(record.subarray(at, at + step));
    expect(opened).toHaveLength(1);
    expect(Buffer.concat(opened[0] ?? []).equals(plaintext)).toBe(true);
    // Held memory stays near the record's own size: no buffer for each of the 4,299 chunks.
    expect(opened[0]?.length).toBeLessThan(100);
  });

  test('random bytes give typed errors or silence', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), fc.array(fc.nat(400)), (tail, plausible, cuts) => {
        const { opener, records } = collect(sealing);
        const bytes = Buffer.concat([Buffer.of(0, 0, 0, 40), tail]).subarray(plausible ? 0 : 4);
        expect(() => codeOf(() => pushTorn(opener, bytes, cuts))).not.toThrow();
        expect(records).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

test('a small record is one buffer, a large one is sealed from its pieces as they are', () => {
  const sealer = new RecordSealer(keys(PLAIN));
  const lengths = (...pieces: readonly Buffer[]): number[] => {
    const emitted: number[] = [];
    sealer.seal(pieces, (piece) => emitted.push(piece.length));
    return emitted;
  };
  expect(lengths(Buffer.alloc(96), Buffer.alloc(4000))).toEqual([4 + 4096 + 16]);
  expect(lengths(Buffer.alloc(97), Buffer.alloc(0), Buffer.alloc(4000))).toEqual([4, 97, 4000, 16]);
});

test.each([
  [0, 'undersized'],
  [16, 'undersized'],
  [17, 'no error'],
  [MAXIMUM_PLAINTEXT + 16, 'no error'],
  [MAXIMUM_PLAINTEXT + 17, 'oversized'],
  [0xffff_ffff, 'oversized'],
])('a length of %i is %s, from the header alone', (length, code) => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(length);
  expect(codeOf(() => collect(PLAIN).opener.push(header))).toBe(code);
});

test('the sealer bounds what it seals, and fails whole', () => {
  const sealer = new RecordSealer(keys(PLAIN));
  const ignore = (): void => undefined;
  expect(codeOf(() => sealer.seal([], ignore))).toBe('undersized');
  expect(codeOf(() => sealer.seal([Buffer.alloc(MAXIMUM_PLAINTEXT), Buffer.alloc(1)], ignore))).toBe('oversized');
  expect(codeOf(() => sealer.seal([Buffer.alloc(1)], ignore))).toBe('no error');
  expect(() =>
    sealer.seal([Buffer.alloc(1)], () => {
      throw new Error('the socket is gone');
    }),
  ).toThrow('the socket is gone');
  expect(codeOf(() => sealer.seal([Buffer.alloc(1)], ignore))).toBe('closed');
});

test('no key seals or opens past 2^48 records, and a rekey does not help', () => {
  const sealer = new RecordSealer(keys(PLAIN), COUNTER_LIMIT - 1);
  const { opener, records } = collect(PLAIN, COUNTER_LIMIT - 1);
  opener.push(sealed(sealer, Buffer.from('the last')));
  expect(records.map(String)).toEqual(['the last']);
  sealer.rekey();
  expect(codeOf(() => sealed(sealer, Buffer.from('one more')))).toBe('exhausted');
  expect(codeOf(() => opener.push(Buffer.of(0, 0, 0, 17)))).toBe('exhausted');
});

test('what onRecord throws passes through and closes; close() in onRecord drops the rest of the chunk', () => {
  const sealer = new RecordSealer(keys(PLAIN));
  const two = Buffer.concat([sealed(sealer, Buffer.from('one')), sealed(sealer, Buffer.from('two'))]);
  const failing = new RecordOpener(keys(PLAIN), () => {
    throw new Error('a frame is wrong');
  });
  expect(() => failing.push(two)).toThrow('a frame is wrong');
  expect(codeOf(() => failing.push(two))).toBe('closed');

  let count = 0;
  const closing: RecordOpener = new RecordOpener(keys(PLAIN), () => {
    count += 1;
    closing.close();
  });
  closing.push(two);
  expect(count).toBe(1);
});
