import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { holdsAddress, isLocalAddress, sourceTowards, watchAddresses } from './address-watch.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const interfaces = (...addresses: readonly string[]) => ({
  lo: [{ address: '127.0.0.1' } as NetworkInterfaceInfo],
  eth0: addresses.map((address) => ({ address }) as NetworkInterfaceInfo),
});

describe('the watch of addresses', () => {
  let now: ReturnType<typeof interfaces>;
  let down: Set<string>;
  let told: ReadonlySet<string>[];
  let stop: AbortController;

  const watch = () => {
    [down, told, stop] = [new Set(), [], new AbortController()];
    watchAddresses(
      (gone) => told.push(gone),
      stop.signal,
      () => now,
      (address) => Promise.resolve(down.has(address)),
    );
  };

  it('tells of those that are gone, once, and of none that came', async () => {
    now = interfaces('10.0.0.1', 'fd00::1');
    watch();
    await vi.advanceTimersByTimeAsync(3_000);
    now = interfaces('10.0.0.2', 'fd00::1');
    await vi.advanceTimersByTimeAsync(3_000);
    now = interfaces();
    await vi.advanceTimersByTimeAsync(1_000);
    stop.abort();
    now = { ...interfaces(), lo: [] };
    await vi.advanceTimersByTimeAsync(3_000);
    expect(told).toEqual([new Set(['10.0.0.1']), new Set(['10.0.0.2', 'fd00::1'])]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells nothing of an address that its interface took down with it, unless it is gone when that is asked again', async () => {
    now = interfaces('10.0.0.1', '10.0.0.2');
    watch();
    down = new Set(['10.0.0.1', '10.0.0.2']);
    now = interfaces();
    await vi.advanceTimersByTimeAsync(5_000);
    now = interfaces('10.0.0.1');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told).toEqual([]);
    down = new Set();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told).toEqual([new Set(['10.0.0.2'])]);
    stop.abort();
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

it('knows from where a call would come, and says so where it does not', () => {
  expect(sourceTowards({ host: '127.0.0.9', port: 9 })).toBe('127.0.0.1');
  expect(sourceTowards({ host: '::ffff:127.0.0.9', port: 9 })).toBe('127.0.0.1');
  // A name may lead to several addresses, and its answer may take long.
  expect(sourceTowards({ host: 'localhost', port: 9 })).toBeUndefined();
});

it("knows what is this host's, listed or not", async () => {
  const addresses = ['127.0.0.1', '127.9.9.9', '192.0.2.1', '2001:db8::1', 'fe80::1'];
  expect(await Promise.all(addresses.map(holdsAddress))).toEqual([true, true, false, false, false]);
  const asked = ['127.0.0.1', '::1', '192.0.2.1', '2001:db8::1', '255.255.255.255'];
  expect(asked.map(isLocalAddress)).toEqual([true, true, false, false, false]);
});
