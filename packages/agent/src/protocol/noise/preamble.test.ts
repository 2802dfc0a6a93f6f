import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HandshakeError } from './errors.ts';
import { encodePreamble, encodeReply, type Preamble, PreambleReader, type Reply, ReplyReader } from './preamble.ts';

const message1 = Buffer.alloc(96 + 20, 0xa1);
const message2 = Buffer.alloc(48 + 20, 0xa2);

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HandshakeError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Feeds the bytes cut at the given places, each chunk in memory that is overwritten after the call. */
function feed<T>(bytes: Buffer, cuts: readonly number[], push: (chunk: Buffer) => T | undefined): T | undefined {
  let result: T | undefined;
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    const chunk = Buffer.from(bytes.subarray(from, cut));
    result = push(chunk) ?? result;
    chunk.fill(0xee);
    from = cut;
  }
  return result;
}

test('the bytes are where the specification says', () => {
  const bytes = encodePreamble('ChaChaPoly', message1);
  expect(bytes.subarray(0, 8).toString('hex')).toBe('574546540102' + '0074');
  expect(bytes.subarray(8)).toEqual(message1);
  expect(encodeReply(message2).subarray(0, 2).toString('hex')).toBe('0044');
});

test('both messages arrive whole however they are torn', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200), { maxLength: 12 }), fc.constantFrom('AESGCM', 'ChaChaPoly'), (cuts, cipher) => {
      const reader = new PreambleReader();
      const preamble = feed<Preamble>(encodePreamble(cipher, message1), cuts, (chunk) => reader.push(chunk));
      expect(preamble).toEqual({ cipher, message: message1 });
      const replies = new ReplyReader();
      const reply = feed<Reply>(encodeReply(message2), cuts, (chunk) =>
        chunk.length > 0 ? replies.push(chunk) : undefined,
      );
      expect(reply?.message).toEqual(message2);
    }),
    { numRuns: 200 },
  );
});

test('what follows the answer is handed back: the first records', () => {
  const reader = new ReplyReader();
  const bytes = Buffer.concat([encodeReply(message2), Buffer.from('records')]);
  expect(reader.push(bytes.subarray(0, 1))).toBeUndefined();
  expect(reader.push(bytes.subarray(1))?.rest.toString()).toBe('records');
});

test.each([
  ['GET / HTTP/1.1', 'wrong-magic'],
  ['\x16\x03\x01', 'wrong-magic'],
  ['WEF', 'no error'],
  ['WEFS', 'wrong-magic'],
  ['WEFT\x01', 'no error'],
  ['WEFT\x02', 'unsupported-version'],
  ['WEFT\x01\x00', 'unsupported-suite'],
  ['WEFT\x01\x03', 'unsupported-suite'],
  ['WEFT\x01\x01\x00', 'no error'],
  ['WEFT\x01\x01\x00\x5f', 'wrong-length'],
  ['WEFT\x01\x01\x00\x60', 'no error'],
  ['WEFT\x01\x01\x10\x60', 'no error'],
  ['WEFT\x01\x01\x10\x61', 'wrong-length'],
  ['WEFT\x01\x01\xff\xff', 'wrong-length'],
])('%j: %s, at the first byte that tells', (text, code) => {
  const whole = Buffer.from(text, 'latin1');
  expect(codeOf(() => new PreambleReader().push(whole))).toBe(code);
  const torn = new PreambleReader();
  expect(codeOf(() => feed(whole, [...whole.keys()], (chunk) => torn.push(chunk)))).toBe(code);
});

test.each([
  ['\x00\x2f', 'wrong-length'],
  ['\x00\x30', 'no error'],
  ['\x10\x30', 'no error'],
  ['\x10\x31', 'wrong-length'],
])('an answer of length %j: %s', (text, code) => {
  expect(codeOf(() => new ReplyReader().push(Buffer.from(text, 'latin1')))).toBe(code);
});

test('a byte after message 1 is refused, in the same chunk or a later one', () => {
  const bytes = encodePreamble('AESGCM', message1);
  expect(codeOf(() => new PreambleReader().push(Buffer.concat([bytes, Buffer.of(0)])))).toBe('early-data');
  const reader = new PreambleReader();
  expect(reader.push(bytes)).toBeDefined();
  expect(codeOf(() => reader.push(Buffer.of(0)))).toBe('early-data');
});

test('a message that no reader would take is not encoded', () => {
  expect(codeOf(() => encodePreamble('AESGCM', Buffer.alloc(95)))).toBe('wrong-length');
  expect(codeOf(() => encodeReply(Buffer.alloc(48 + 4097)))).toBe('wrong-length');
});

test('random bytes after a good or bad start give typed errors or silence', () => {
  const starts = [Buffer.alloc(0), Buffer.from('WEFT'), Buffer.from('WEFT\x01\x01\x00\x60', 'latin1')];
  fc.assert(
    fc.property(
      fc.constantFrom(...starts),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat(300)),
      (start, tail, cuts) => {
        const reader = new PreambleReader();
        const replies = new ReplyReader();
        const bytes = Buffer.concat([start, tail]);
        expect(() => codeOf(() => feed(bytes, cuts, (chunk) => reader.push(chunk)))).not.toThrow();
        expect(() => codeOf(() => feed(bytes, cuts, (chunk) => replies.push(chunk)))).not.toThrow();
      },
    ),
    { numRuns: 300 },
  );
});
