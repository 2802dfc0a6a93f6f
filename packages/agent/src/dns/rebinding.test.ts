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
