import { describe, expect, test } from 'vitest';
import { CONTROL_RETRY, Retry } from './retry.ts';

const lost = (served: boolean) => ({ type: 'lost', served, cause: new Error('gone') }) as const;

describe('retry', () => {
  test('backs off from 0.25 s to 10 s', () => {
    const retry = new Retry(CONTROL_RETRY, () => 1);
    const delays = Array.from({ length: 9 }, () => retry.delayAfter(lost(false)));
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000]);
  });

  test('starts again after a session that served', () => {
    const retry = new Retry(CONTROL_RETRY, () => 1);
    for (let failure = 0; failure < 8; failure++) retry.delayAfter(lost(false));
    expect(retry.delayAfter(lost(true))).toBe(250);
    expect(retry.delayAfter(lost(false))).toBe(500);
  });

  test('spreads by half, and never below the minimum', () => {
    const retry = new Retry(CONTROL_RETRY, () => 0);
    expect(Array.from({ length: 7 }, () => retry.delayAfter(lost(false)))).toEqual([
      250, 500, 1_000, 2_000, 4_000, 5_000, 5_000,
    ]);
  });

  test('stays away for as long as it is told to, and then not all at one moment', () => {
    const held = { type: 'held', reason: 'two hosts', retryMs: 300_000, unknown: false } as const;
    expect(new Retry(CONTROL_RETRY, () => 0).delayAfter(held)).toBe(305_000);
    expect(new Retry(CONTROL_RETRY, () => 1).delayAfter({ ...held, retryMs: 0 })).toBe(10_000);
  });

  test('starts again after a session in which control refused', () => {
    const retry = new Retry(CONTROL_RETRY, () => 1);
    for (let failure = 0; failure < 8; failure++) retry.delayAfter(lost(false));
    retry.delayAfter({ type: 'held', reason: 'older data', retryMs: 0, unknown: false });
    expect(retry.delayAfter(lost(false))).toBe(500);
  });

  test('asks rarely after a revocation', () => {
    expect(new Retry(CONTROL_RETRY, () => 0).delayAfter({ type: 'revoked', reason: 'by an operator' })).toBe(30_000);
  });
});
