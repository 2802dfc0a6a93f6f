import { describe, expect, it } from 'vitest';
import { hashOf, parseRoute } from './route.ts';

describe('the address', () => {
  it('goes there and back', () => {
    const hash = hashOf('services', 'a b/c?', { text: 'x&y=z', kind: '' });
    expect(parseRoute(hash)).toEqual({ view: 'services', name: 'a b/c?', query: { text: 'x&y=z' } });
  });

  const table: readonly (readonly [string, string, string])[] = [
    ['', 'map', ''],
    ['#', 'map', ''],
    ['#/', 'map', ''],
    ['#/agents/data-1', 'agents', 'data-1'],
    ['#/flows?verdict=deny', 'flows', ''],
    ['#/nothing/like-it', 'map', ''],
    ['#/services/%E0%A4%A', 'services', '%E0%A4%A'],
    ['#main', 'map', ''],
  ];
  for (const [hash, view, name] of table) {
    it(`${hash || 'nothing'} is ${view}`, () => {
      expect(parseRoute(hash)).toMatchObject({ view, name });
    });
  }
});
