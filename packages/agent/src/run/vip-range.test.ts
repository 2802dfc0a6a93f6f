import type { NetworkInterfaceInfo } from 'node:os';
import { CONTROL_RANGE } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { isLocalRange } from '../bytes/address-watch.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { requireLocal, watchRange } from './vip-range.ts';

const RANGE = { base: 0x64500000, size: 1 << 20 };
const COMMAND = 'ip route add local 100.80.0.0/12 dev lo';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

it('is asked of the kernel: loopback is local, and what no interface has is not', () => {
  expect(isLocalRange(CONTROL_RANGE)).toBe(true);
  // TEST-NET-2 is nobody's (RFC 5737).
  expect(isLocalRange({ base: 0xc6336400, size: 256 })).toBe(false);
});

it('ends the start where it is not local, with the command that makes it so', () => {
  const told = { code: 'range-not-local', message: expect.stringContaining(COMMAND) };
  expect(() => requireLocal(RANGE, () => false)).toThrow(expect.objectContaining(told));
});

it('ends no start where it is local, or nobody could ask', () => {
  requireLocal(RANGE, () => true);
  requireLocal(RANGE, () => undefined);
  requireLocal(CONTROL_RANGE, () => {
    throw new Error('nobody asks of loopback');
  });
});

it('is a problem while it is lost or overlaps a network, and none again after', async () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const life = new AbortController();
  let local: boolean | undefined = true;
  let eth0: NetworkInterfaceInfo[] = [];
  const look = () => local;
  watchRange(RANGE, problems, life.signal, look, () => ({ eth0 }));
  const after = async (now: typeof local) => {
    local = now;
    await vi.advanceTimersByTimeAsync(2_000);
    return problems.current.map(({ code, message }) => [code, message.includes(COMMAND)]);
  };
  expect(await after(true)).toEqual([]);
  expect(await after(false)).toEqual([['vip-range-lost', true]]);
  // A look that could not be made is no look.
  expect(await after(undefined)).toEqual([['vip-range-lost', true]]);
  expect(await after(true)).toEqual([]);
  const [address, netmask] = ['100.81.0.9', '255.255.0.0'];
  eth0 = [{ address, netmask, family: 'IPv4', mac: '', internal: false, cidr: null }];
  expect(await after(true)).toEqual([['vip-range-lost', false]]);
  expect(problems.current[0]?.message).toContain('100.81.0.0/16 of eth0');
  eth0 = [];
  expect(await after(undefined)).toEqual([['vip-range-lost', false]]);
  expect(await after(true)).toEqual([]);
  life.abort();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(vi.getTimerCount()).toBe(0);
});
