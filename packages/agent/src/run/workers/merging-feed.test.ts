import { describe, expect, it } from 'vitest';
import { MergingFeed } from './merging-feed.ts';

function feed() {
  const sent: { readonly value: string; readonly done: PromiseWithResolvers<void> }[] = [];
  const made = new MergingFeed<string>(
    (value) => {
      const done = Promise.withResolvers<void>();
      sent.push({ value, done });
      return done.promise;
    },
    (before, after) => before + after,
  );
  return { made, sent, values: () => sent.map(({ value }) => value) };
}

describe('a merging feed', () => {
  it('has one value out, and merges those that come meanwhile in their order', async () => {
    const { made, sent, values } = feed();
    const settled: string[] = [];
    for (const value of ['a', 'b', 'c']) void made.push(value).then(() => settled.push(value));
    expect(values()).toEqual(['a']);
    sent[0]?.done.resolve();
    await expect.poll(values).toEqual(['a', 'bc']);
    expect(settled).toEqual(['a']);
    const last = made.push('d');
    sent[1]?.done.resolve();
    await expect.poll(values).toEqual(['a', 'bc', 'd']);
    expect(settled).toEqual(['a', 'b', 'c']);
    sent[2]?.done.resolve();
    await last;
    await expect.poll(() => made.idle).toBe(true);
  });

  it('tells a failure to those whose value it was, and goes on, but is never done with all', async () => {
    const { made, sent, values } = feed();
    const first = made.push('a');
    const second = made.push('b');
    sent[0]?.done.reject(new Error('not enforced'));
    await expect(first).rejects.toThrow('not enforced');
    await expect.poll(values).toEqual(['a', 'b']);
    sent[1]?.done.resolve();
    await second;
    // Were it ever, it would be in the turn after the last was.
    await new Promise((resolve) => setImmediate(resolve));
    expect(made.idle).toBe(false);
  });
});
