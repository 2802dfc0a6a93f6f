import type { NetworkInterfaceInfo } from 'node:os';
import { parseRange } from '@weft/proto';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { OwnCallers } from './own-callers.ts';

const CALLED = { service: 'redis', port: 6379, protocol: 'tcp', ordinal: undefined } as const;

function setup() {
  const lines: unknown[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const host = {
    addresses: ['10.1.0.5'],
    down: [] as (string | undefined)[],
    asked: [] as string[],
    looks: 0,
    nowMs: 0,
  };
  const callers = new OwnCallers({
    range: parseRange('100.80.0.0/12') ?? { base: 0, size: 0 },
    problems,
    log,
    look: () => {
      host.looks++;
      return { eth0: host.addresses.map((address) => ({ address }) as NetworkInterfaceInfo) };
    },
    isLocal: (address) => {
      host.asked.push(address);
      return host.down.includes(undefined) ? undefined : host.down.includes(address);
    },
    now: () => host.nowMs,
  });
  return { callers, host, problems, lines };
}

it.each(['127.0.0.1', '127.255.3.4', '100.80.0.0', '100.95.255.255', '10.1.0.5'])('takes %s for its own', (address) => {
  const { callers, problems } = setup();
  expect(callers.refuses(address, CALLED)).toBe(false);
  expect(callers.refused).toBe(0);
  expect(problems.current).toEqual([]);
});

it.each(['10.1.0.6', '100.79.255.255', '100.96.0.0', '8.8.8.8', '0.0.0.0', '::1', ''])('refuses %j', (address) => {
  const { callers, problems, lines } = setup();
  expect(callers.refuses(address, CALLED)).toBe(true);
  expect(callers.refused).toBe(1);
  expect(problems.current).toMatchObject([{ code: 'foreign-callers', subject: '--vip-range' }]);
  expect(lines).toMatchObject([{ event: 'caller-refused', address, listener: 'redis:6379/tcp' }]);
});

it('keeps an address whose interface is down, for as long as the kernel has it', () => {
  const { callers, host } = setup();
  const refuses = (address: string) => {
    host.nowMs += 1_000;
    return callers.refuses(address, CALLED);
  };
  expect(refuses('10.1.0.5')).toBe(false);
  host.addresses = [];
  host.down = ['10.1.0.5'];
  for (let look = 0; look < 3; look++) expect(refuses('10.1.0.5')).toBe(false);
  // Nobody could ask: as it was.
  host.down = [undefined];
  for (let look = 0; look < 3; look++) expect(refuses('10.1.0.5')).toBe(false);
  host.down = [];
  expect(refuses('10.1.0.5')).toBe(true);
});

it('refuses an address that the host has given up at once, and asks fifty times a second at most', () => {
  const { callers, host } = setup();
  expect(callers.refuses('10.1.0.5', CALLED)).toBe(false);
  host.addresses = [];
  host.down = ['10.1.0.5'];
  for (let call = 0; call < 2_000; call++) {
    host.nowMs = call / 4;
    expect(callers.refuses('10.1.0.5', CALLED)).toBe(false);
  }
  expect(host.asked.length).toBeLessThanOrEqual(25);
  host.down = [];
  host.nowMs += 20;
  expect(callers.refuses('10.1.0.5', CALLED)).toBe(true);
  const asked = host.asked.length;
  expect(callers.refuses('10.1.0.5', CALLED)).toBe(true);
  expect([host.looks, host.asked.length]).toEqual([1, asked]);
});

it('knows one that was down from the start, and asks once a second, whoever calls', () => {
  const { callers, host } = setup();
  host.down = ['10.2.0.5'];
  expect(callers.refuses('10.2.0.5', CALLED)).toBe(false);
  for (let call = 0; call < 1_000; call++) callers.refuses(`10.3.0.${call % 250}`, CALLED);
  expect(callers.refuses('10.2.0.5', CALLED)).toBe(false);
  expect(host.asked).toEqual(['10.2.0.5']);
});

it('looks at its addresses once a second, however many call, and knows what changed then', () => {
  const { callers, host, lines } = setup();
  for (let call = 0; call < 1_000; call++) expect(callers.refuses('10.1.0.9', CALLED)).toBe(true);
  host.addresses = ['10.1.0.9'];
  host.nowMs = 999;
  expect(callers.refuses('10.1.0.9', CALLED)).toBe(true);
  expect(host.looks).toBe(1);
  host.nowMs = 1_000;
  expect(callers.refuses('10.1.0.9', CALLED)).toBe(false);
  expect(callers.refuses('10.1.0.5', CALLED)).toBe(true);
  expect(host.looks).toBe(2);
  expect(callers.refused).toBe(1_002);
  expect(lines).toHaveLength(1);
});
