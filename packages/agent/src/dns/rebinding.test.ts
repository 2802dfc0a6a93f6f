import dnsPacket from 'dns-packet';
import { expect, it } from 'vitest';
import { Flag } from './message.ts';
import { withoutOwnAddresses } from './rebinding.ts';

const RANGE = { base: 0x7f500000, size: 2 ** 20 };
const question = { type: 'A', class: 'IN', name: 'big.example' } as const;
const answer = (flags: number) =>
  dnsPacket.encode({
    type: 'response',
    id: 7,
    flags,
    questions: [question],
    answers: [{ ...question, ttl: 60, data: '192.0.2.1' }],
  });

it('keeps the head of a truncated answer that ends within a record, so that its asker comes again over TCP', () => {
  const cut = answer(Flag.TC).subarray(0, -3);
  const { message } = withoutOwnAddresses(cut, ['big', 'example'], RANGE);
  const read = dnsPacket.decode(message ?? Buffer.alloc(0));
  expect(read).toMatchObject({ id: 7, questions: [question], answers: [], authorities: [], additionals: [] });
  expect(read.flags & Flag.TC).toBe(Flag.TC);
});

it('takes one that is cut and does not say so for no answer', () => {
  const { message } = withoutOwnAddresses(answer(0).subarray(0, -3), ['big', 'example'], RANGE);
  expect(message).toBeUndefined();
});

const CASES: readonly [type: 'A' | 'AAAA', data: string, own: boolean][] = [
  ['A', '127.80.0.2', true],
  ['A', '127.0.0.1', true],
  ['A', '0.0.0.0', true],
  ['A', '192.0.2.1', false],
  ['AAAA', '::1', true],
  ['AAAA', '::', true],
  ['AAAA', '::127.80.0.2', true],
  ['AAAA', '::ffff:127.80.0.2', true],
  ['AAAA', '::ffff:0:7f50:2', true],
  ['AAAA', '64:ff9b::7f50:2', true],
  ['AAAA', '2002:7f50:2::1', true],
  ['AAAA', '64:ff9b::c000:201', false],
  ['AAAA', '::ffff:192.0.2.1', false],
  ['AAAA', '2001:db8::7f50:2', false],
];
it.each(CASES)('%s %s leads here: %s', (type, data, own) => {
  const asked = (name: string) => {
    const answers = [{ type, name, ttl: 60, data } as const];
    const questions = [{ type, class: 'IN', name } as const];
    const message = dnsPacket.encode({ type: 'response', id: 7, questions, answers });
    return withoutOwnAddresses(message, name.split('.'), RANGE).dropped;
  };
  expect(asked('evil.example')).toBe(own ? 1 : 0);
  expect(asked('app.localhost')).toBe(own && data !== '127.0.0.1' && data !== '::1' ? 1 : 0);
});
