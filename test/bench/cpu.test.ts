import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { metered, parseMachineStat, parseProcessStat, withDescendants } from './cpu.ts';

test("a process's times are read behind whatever its name holds", () => {
  const line = '42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 120 30 4 5 20 0 1 0 100 1000 10';
  expect(parseProcessStat(line)).toEqual({ parent: 7, ticks: 159 });
});

test('a busy machine is user, nice, system and interrupts', () => {
  expect(parseMachineStat('cpu  100 20 30 9999 888 4 5 777 66 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n')).toBe(159);
});

test('descendants of any depth belong to a process', () => {
  const processes = new Map([
    [2, { parent: 1, ticks: 0 }],
    [5, { parent: 9, ticks: 0 }],
    [9, { parent: 2, ticks: 0 }],
    [6, { parent: 1, ticks: 0 }],
  ]);
  expect([...withDescendants([2], processes)].sort((a, b) => a - b)).toEqual([2, 5, 9]);
});

test.skipIf(process.platform !== 'linux')("a child's work is seen, and an idle one's is not", async () => {
  const spin = `
    process.stdin.on('data', () => {
      const from = process.cpuUsage();
      while (process.cpuUsage(from).user + process.cpuUsage(from).system < 200_000);
      process.stdout.write('done');
    });
    process.stdout.write('on');
  `;
  const start = async () => {
    const child = spawn(process.execPath, ['-e', spin], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return child;
  };
  const [busy, idle] = await Promise.all([start(), start()]);
  try {
    const work = async () => {
      busy.stdin.write('go');
      await new Promise((resolve) => busy.stdout.once('data', resolve));
    };
    const [, own] = await metered({ processes: [{ pid: busy.pid ?? 0 }] }, work);
    const [, other] = await metered({ processes: [{ pid: idle.pid ?? 0 }] }, work);
    expect(own?.own).toBeGreaterThan(other?.own ?? Number.NaN);
    expect(own?.machine).toBeGreaterThan(0);
  } finally {
    busy.kill();
    idle.kill();
  }
});
