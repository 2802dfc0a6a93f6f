import { expect, test } from 'vitest';
import { domainOf, WaitingQuestions } from './waiting.ts';

function table(...domains: readonly string[]) {
  const waiting = new WaitingQuestions({ questions: 4, waiters: 20 });
  for (const [index, domain] of domains.entries()) {
    waiting.add(`${domain}${index}`, { domain, sinceMs: 1_000 + index, waiters: { length: 1 } });
  }
  return waiting;
}

test.each<[string, readonly string[], asked: string, nowMs: number, string | undefined | false]>([
  ['nobody while there are places', ['a', 'b', 'c'], 'd', 9_000, undefined],
  ['a domain with half of them, at once, to another', ['a', 'lame', 'b', 'lame'], 'c', 1_004, 'lame1'],
  ['it gives none to itself', ['a', 'lame', 'b', 'lame'], 'lame', 1_004, false],
  ['but who has waited long', ['a', 'lame', 'b', 'lame'], 'lame', 1_501, 'lame1'],
  ['nobody else who has waited long', ['a', 'b', 'lame', 'lame'], 'lame', 1_501, false],
  ['others who have, where none has half', ['b', 'lame', 'a', 'c'], 'lame', 1_500, 'b0'],
  ['nobody of many domains before', ['a', 'b', 'c', 'd'], 'e', 1_499, false],
  ['of many domains the oldest', ['a', 'b', 'c', 'd'], 'e', 1_500, 'a0'],
])('room is made by %s', (_whom, domains, asked, nowMs, leaves) => {
  expect(table(...domains).roomFor('new', asked, nowMs)).toBe(leaves);
});

test('who asks what is asked already needs no place, and the question that most wait for makes room for others', () => {
  const waiting = table('a', 'b', 'c', 'd');
  expect(waiting.roomFor('a0', 'a', 1_004)).toBeUndefined();
  waiting.delete('d3');
  waiting.add('many', { domain: 'd', sinceMs: 1_003, waiters: { length: 17 } });
  expect([waiting.roomFor('a0', 'a', 1_004), waiting.roomFor('many', 'd', 1_004)]).toEqual(['many', false]);
  expect(waiting.crowding).toBe('d');
  waiting.delete('many');
  expect(waiting.roomFor('new', 'd', 1_004)).toBeUndefined();
});

test('who takes most is named by questions, and by who asks where that is what there is no room for', () => {
  const waiting = table('lame', 'lame', 'a');
  expect(waiting.crowding).toBe('lame');
  waiting.add('many', { domain: 'd', sinceMs: 1_003, waiters: { length: 17 } });
  expect(waiting.crowding).toBe('d');
});

test('a domain is two labels', () => {
  expect([['x', 'lame', 'example'], ['example'], []].map(domainOf)).toEqual(['lame.example', 'example', '']);
});
