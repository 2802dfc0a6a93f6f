import { describe, expect, it } from 'vitest';
import { flow } from './flow.fixture.ts';
import { type Filter, filterOf, passes } from './flow-filter.ts';

describe('a filter of flows', () => {
  const record = flow(1, { verdict: 'deny', rule: 'no-admin-ui', outcome: 'denied', detail: 'Rule says no' });
  const table: readonly (readonly [Filter, boolean])[] = [
    [{}, true],
    [{ source: 'web' }, true],
    [{ source: 'we' }, false],
    [{ service: 'redis', verdict: 'deny' }, true],
    [{ service: 'redis', verdict: 'allow' }, false],
    [{ host: 'edge-1' }, true],
    [{ host: 'data-1' }, true],
    [{ host: 'data-2' }, false],
    [{ rule: 'no-admin-ui' }, true],
    [{ outcome: 'closed' }, false],
    [{ port: '6379' }, true],
    [{ port: '637' }, false],
    [{ text: 'ADMIN' }, true],
    [{ text: '6379/tcp' }, true],
    [{ text: 'rule says' }, true],
    [{ text: 'mailer' }, false],
  ];
  for (const [filter, passed] of table) {
    it(`${JSON.stringify(filter)} ${passed ? 'lets it pass' : 'leaves it out'}`, () => {
      expect(passes(filter, record)).toBe(passed);
    });
  }

  it('takes from the address what is a filter, and nothing else', () => {
    const query = { source: ' web ', verdict: 'maybe', port: '70000', text: '', id: '7', network: 'prod' };
    expect(filterOf(query)).toEqual({ source: 'web' });
    expect(filterOf({ verdict: 'deny', port: '53', outcome: 'cut' })).toEqual({
      verdict: 'deny',
      port: '53',
      outcome: 'cut',
    });
  });
});
