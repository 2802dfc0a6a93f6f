import { expect, it } from 'vitest';
import { fullMessageOf } from './errors.ts';

it('tells what went wrong in what an error gathers, each once and of many the first, and how many more', () => {
  const cut = ['a', 'b', 'a', 'c', 'd'].map((name) => new Error(`flow ${name} would not end`));
  const flows = new AggregateError(cut, 'flows could not be cut in order');
  const whole = new AggregateError([flows, 'no port'], 'revision 7 could not be enforced in full');
  expect(fullMessageOf(whole)).toBe(
    'revision 7 could not be enforced in full: flows could not be cut in order: ' +
      'flow a would not end; flow b would not end; flow c would not end; and 1 more; no port',
  );
  expect(fullMessageOf(new Error('out of luck'))).toBe('out of luck');
});
