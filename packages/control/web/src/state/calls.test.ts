import type { ActionJson, BreakPointJson } from '@weft/proto/messages';
import { describe, expect, it, test } from 'vitest';
import { callerOf, everyPage, failureOf, pathOf, sourceOf, timeMs, word } from './calls.ts';

describe('what is refused', () => {
  const violation = (field: string) => ({ field, description: 'expected more' });
  const refused = (...fields: readonly string[]) => ({
    code: 'invalid_argument',
    message: 'it is wrong',
    details: [{ debug: { reason: 'INVALID' } }, { debug: { fieldViolations: fields.map(violation) } }],
  });

  it('names each field that is wrong, and how many more there were', () => {
    expect(failureOf(refused('ttl'))?.message).toBe('ttl: expected more');
    expect(failureOf(refused('ttl', 'host'))?.message).toBe('ttl: expected more; host: expected more');
    const { details, ...rest } = refused('ttl');
    const more = { ...rest, details: [{ debug: { metadata: { fields: '3' } } }, ...details] };
    expect(failureOf(more)?.message).toBe('ttl: expected more; and 2 more');
    expect(failureOf(refused())?.message).toBe('it is wrong');
    expect(failureOf({ code: 'signed-out', message: 'sign in' })).toEqual({ code: 'signed-out', message: 'sign in' });
  });

  it.each([undefined, null, 'a proxy', { code: 5 }])('is not %j, which control does not say', (answer) => {
    expect(failureOf(answer)).toBeUndefined();
  });
});

test('a call has the path of its method', () => {
  expect(pathOf('listTokens')).toBe('weft.v1.AdminService/ListTokens');
});

test('words, callers and times are read as the rest of the page has them', () => {
  expect(word<'BREAK_POINT', BreakPointJson>('BREAK_POINT', 'BREAK_POINT_NO_SUCH_NAME', 'other')).toBe('no-such-name');
  expect(word<'ACTION', ActionJson>('ACTION', undefined, 'deny')).toBe('deny');
  for (const source of ['web', 'host:data-1', 'internet']) expect(sourceOf(callerOf(source))).toBe(source);
  expect([timeMs('1970-01-01T00:00:00.005Z'), timeMs(undefined)]).toEqual([5, 0]);
});

test('pages are put together until there is none', async () => {
  const pages = [{ items: [1, 2], nextPageToken: 'next' }, { nextPageToken: 'last' }, { items: [3] }];
  const asked: string[] = [];
  const ask = async (pageToken: string) => {
    asked.push(pageToken);
    return pages[asked.length - 1] as (typeof pages)[0];
  };
  expect(await everyPage(ask, ({ items }) => items)).toEqual([1, 2, 3]);
  expect(asked).toEqual(['', 'next', 'last']);
});
