import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { openInterfaces, watchLoopbackDoor } from './loopback-door.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

type Settings = readonly [route_localnet: number, rp_filter: number];

function interfaces(settings: Readonly<Record<string, Settings>>): readonly string[] | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'weft-sysctl-'));
  try {
    for (const [name, [route, filter]] of Object.entries(settings)) {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, 'route_localnet'), `${route}\n`);
      writeFileSync(join(directory, name, 'rp_filter'), `${filter}\n`);
    }
    return openInterfaces(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it.each<[string, Readonly<Record<string, Settings>>, readonly string[] | undefined]>([
  ['as kernels come', { all: [0, 0], default: [0, 0], lo: [0, 0], eth0: [0, 0] }, []],
  ['routed everywhere', { all: [1, 0], default: [0, 0], lo: [0, 0], eth0: [0, 0], eth1: [0, 1] }, ['eth0']],
  ['routed on one', { all: [0, 0], default: [1, 0], lo: [1, 0], eth0: [0, 0], eth1: [1, 0] }, ['eth1']],
  ['routed, and looked at strictly', { all: [1, 1], lo: [0, 0], eth0: [1, 0] }, []],
  ['routed, and looked at loosely', { all: [1, 0], lo: [0, 0], eth0: [1, 2] }, []],
  ['without the files', {}, undefined],
])('%s', (_which, settings, open) => expect(interfaces(settings)).toEqual(open));

it('is a problem from the start while it is so, and a look that cannot be made is no look', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const life = new AbortController();
  const host: { open: readonly string[] | undefined } = { open: ['eth0', 'eth1', 'eth2', 'eth3', 'eth4'] };
  watchLoopbackDoor(problems, life.signal, () => host.open);
  const after = (open: readonly string[] | undefined) => {
    host.open = open;
    vi.advanceTimersByTime(10_000);
    return problems.current.map(({ code }) => code);
  };
  expect(problems.current[0]?.message).toMatch(/eth3 and 1 more .* sysctl -w net\.ipv4\.conf\.all\.rp_filter=2/);
  expect(after(undefined)).toEqual(['loopback-open']);
  expect(after([])).toEqual([]);
  expect(after(undefined)).toEqual([]);
  expect(after(['eth0'])).toEqual(['loopback-open']);
  life.abort();
  expect(vi.getTimerCount()).toBe(0);
});
