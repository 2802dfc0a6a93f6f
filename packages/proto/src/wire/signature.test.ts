import { describe, expect, it } from 'vitest';
import { helloMessage, joinProofMessage } from './signature.ts';

describe('what agents sign', () => {
  it('is laid out as agent.proto says', () => {
    const key = (value: number): Uint8Array => new Uint8Array(32).fill(value);
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const text = (words: string): string => Buffer.from(words).toString('hex');
    expect(hex(joinProofMessage('t1', key(1), key(2)))).toBe(text('weft join v1\0t1\0') + hex(key(1)) + hex(key(2)));
    expect(hex(helloMessage(key(3), key(4), 'a1'))).toBe(
      text('weft hello v1\0') + hex(key(3)) + hex(key(4)) + text('a1'),
    );
  });
});
