import { expect, test } from 'vitest';
import { Publications } from './enforcement.ts';

test('who lacks several revisions is behind since the first of them', () => {
  const published = new Publications();
  expect(published.newerSinceMs(0)).toBe(0);
  for (const revision of [3, 5, 8]) published.note(revision, revision * 100);
  expect([0, 3, 4, 5, 8, 9].map((revision) => published.newerSinceMs(revision))).toEqual([300, 500, 500, 800, 0, 0]);
});

test('an acknowledgement is of every revision since the one before', () => {
  const published = new Publications();
  for (const revision of [3, 5, 8]) published.note(revision, revision * 100);
  expect(published.between(3, 8)).toEqual([500, 800]);
  expect(published.between(8, 8)).toEqual([]);
});

test('what is remembered is bounded', () => {
  const published = new Publications();
  for (let revision = 1; revision <= 1_000; revision += 1) published.note(revision, revision);
  expect(published.between(0, 1_000)).toHaveLength(64);
  expect(published.newerSinceMs(0)).toBe(937);
});
