import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { pause } from './keep.ts';

test('a rest leaves nothing at a signal that lives on, however it ended', async () => {
  const life = new AbortController();
  for (let count = 0; count < 20; count++) await pause(1, [new AbortController().signal, life.signal]);
  const change = new AbortController();
  const rest = pause(60_000, [change.signal, life.signal]);
  change.abort();
  await rest;
  expect(getEventListeners(life.signal, 'abort')).toHaveLength(0);
});

test('a rest of what has ended is none', async () => {
  const begun = performance.now();
  await pause(60_000, [AbortSignal.abort()]);
  expect(performance.now() - begun).toBeLessThan(10_000);
});
