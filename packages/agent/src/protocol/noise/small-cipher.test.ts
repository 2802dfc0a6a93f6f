import { createCipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { loadSmallCipher, SMALL_LIMIT, SmallKey } from './small-cipher.ts';

interface Engine {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ readonly instance: { readonly exports: object } }>;
  readonly Memory: new (descriptor: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
}

/** TypeScript has it of browsers alone. */
const { WebAssembly: engine } = globalThis as unknown as { readonly WebAssembly: Engine };
/** That of the instance in use. */
let memory: Buffer;
beforeAll(async () => {
  const instantiate = vi.spyOn(engine, 'instantiate');
  await loadSmallCipher();
  for (const { type, value } of instantiate.mock.settledResults) {
    const exported = type === 'fulfilled' ? Object.values(value.instance.exports) : [];
    for (const each of exported) if (each instanceof engine.Memory) memory = Buffer.from(each.buffer);
  }
  instantiate.mockRestore();
});

/** As node:crypto has it. */
function encrypt(key: Buffer, nonce: Buffer, additional: Buffer, plaintext: Buffer): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(additional, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(counter), 4);
  return nonce;
}

function sealed(key: SmallKey, counter: number, additional: Buffer, ...pieces: readonly Buffer[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const target = Buffer.alloc(length + 16 + 2, 0xee);
  key.seal(counter, additional, pieces, target, 1);
  expect([target[0], target.at(-1)]).toEqual([0xee, 0xee]);
  return target.subarray(1, -1);
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

describe('the cipher of small records', () => {
  test('is that of RFC 8439: what node:crypto makes of the same, at any length and counter, and it opens', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 31 - 1),
        fc.nat(2 ** 16 - 1),
        bytes(16),
        fc.array(bytes(300), { maxLength: 3 }),
        (low, high, additional, pieces) => {
          const raw = randomBytes(32);
          const counter = high * 2 ** 32 + low;
          const key = new SmallKey(Buffer.from(raw));
          const plaintext = Buffer.concat(pieces);
          const expected = encrypt(raw, nonceOf(counter), additional, plaintext);
          expect(sealed(key, counter, additional, ...pieces)).toEqual(expected);
          expect(key.open(counter, additional, expected)).toEqual(plaintext);
        },
      ),
    );
  });

  test('opens nothing whose key, counter, additional data, length or any bit is another', () => {
    const [key, additional] = [new SmallKey(Buffer.alloc(32, 1)), Buffer.from('head')];
    const good = sealed(key, 7, additional, Buffer.from('some words'));
    expect(new SmallKey(Buffer.alloc(32, 2)).open(7, additional, good)).toBeUndefined();
    expect(key.open(8, additional, good)).toBeUndefined();
    expect(key.open(7 + 2 ** 32, additional, good)).toBeUndefined();
    expect(key.open(7, Buffer.from('hear'), good)).toBeUndefined();
    for (let length = 0; length < good.length; length++) {
      expect(key.open(7, additional, good.subarray(0, length))).toBeUndefined();
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const altered = Buffer.from(good);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(key.open(7, additional, altered)).toBeUndefined();
    }
    expect(String(key.open(7, additional, good))).toBe('some words');
  });

  test('takes its limit and not a byte more, of either side, and at most 16 bytes of additional data', () => {
    const [key, none] = [new SmallKey(Buffer.alloc(32, 1)), Buffer.alloc(0)];
    const full = Buffer.alloc(SMALL_LIMIT, 'x');
    expect(key.open(0, none, sealed(key, 0, none, full))).toEqual(full);
    const target = Buffer.alloc(2 * SMALL_LIMIT);
    expect(() => key.seal(0, none, [full, Buffer.alloc(1)], target, 0)).toThrow('over 1024 bytes');
    expect(
      key.open(0, none, encrypt(Buffer.alloc(32, 1), nonceOf(0), none, Buffer.alloc(SMALL_LIMIT + 1))),
    ).toBeUndefined();
    expect(() => key.seal(0, Buffer.alloc(17), [], target, 0)).toThrow('17 bytes');
    expect(() => new SmallKey(Buffer.alloc(31))).toThrow('32 bytes');
  });

  test('what it opened is nobody else’s memory', () => {
    const [key, none] = [new SmallKey(Buffer.alloc(32, 1)), Buffer.alloc(0)];
    const [one, two] = [sealed(key, 0, none, Buffer.from('one')), sealed(key, 1, none, Buffer.from('two'))];
    const [first, second] = [key.open(0, none, one), key.open(1, none, two)];
    expect([String(first), String(second)]).toEqual(['one', 'two']);
  });

  test('REKEY is the first 32 bytes of ENCRYPT(k, 2^64 - 1, zerolen, zeros), and the old key is wiped', () => {
    const raw = randomBytes(32);
    const given = Buffer.from(raw);
    const key = new SmallKey(given);
    const next = key.rekeyed();
    const nonce = Buffer.concat([Buffer.alloc(4), Buffer.alloc(8, 0xff)]);
    expect(next.export()).toEqual(encrypt(raw, nonce, Buffer.alloc(0), Buffer.alloc(32)).subarray(0, 32));
    expect(given).toEqual(Buffer.alloc(32));
    expect(() => key.seal(0, Buffer.alloc(0), [], Buffer.alloc(16), 0)).toThrow('forgotten');
    expect(() => key.open(0, Buffer.alloc(0), Buffer.alloc(16))).toThrow('forgotten');
  });

  test('leaves no key where it was worked with', () => {
    const key = new SmallKey(randomBytes(32));
    const [head, none] = [Buffer.from('head'), Buffer.alloc(0)];
    expect(key.open(0, head, sealed(key, 0, head, Buffer.from('text')))).toEqual(Buffer.from('text'));
    const raw = key.export();
    const next = key.rekeyed();
    expect([memory.includes(raw), memory.includes(next.export())]).toEqual([false, false]);
    // It is this memory that it works in.
    const text = randomBytes(64);
    next.open(1, none, sealed(next, 1, none, text));
    expect(memory.includes(text)).toBe(true);
  });
});
