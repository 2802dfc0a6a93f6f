import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sourceTowards, watchAddresses } from './address-watch.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const interfaces = (...addresses: readonly string[]) => ({
  lo: [{ address: '127.0.0.1' } as NetworkInterfaceInfo],
  eth0: addresses.map((address) => ({ address }) as NetworkInterfaceInfo),
});

describe('the watch of addresses', () => {
  it('tells of those that are gone, once, and of none that came', () => {
    let now = interfaces('10.0.0.1', 'fd00::1');
    const stop = new AbortController();
    const told: string[][] = [];
    watchAddresses(
      (gone) => told.push([...gone]),
      stop.signal,
      () => now,
    );
    vi.advanceTimersByTime(3_000);
    now = interfaces('10.0.0.2', 'fd00::1');
    vi.advanceTimersByTime(3_000);
    now = interfaces();
    vi.advanceTimersByTime(1_000);
    stop.abort();
    now = { ...interfaces(), lo: [] };
    vi.advanceTimersByTime(3_000);
    expect(told).toEqual([['10.0.0.1'], ['10.0.0.2', 'fd00::1']]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins nothing that is over', () => {
    watchAddresses(
      () => undefined,
      AbortSignal.abort(),
      () => ({}),
    );
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('knows from where a call would come, and says so where it does not', async () => {
  expect(await sourceTowards({ host: '127.0.0.9', port: 9 })).toBe('127.0.0.1');
  expect(await sourceTowards({ host: 'nowhere.invalid', port: 9 })).toBeUndefined();
});
