/** The bench itself, so that it cannot rot: its smallest run, with nothing but Node and without root. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../harness/host.ts';
import { Process, run } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';

const argv = ['node', 'test/bench/main.ts', '--quick', '--loopback', '--only', 'connect', '--peers', 'direct,weft'];

test('a quick run measures, prints a table and writes its figures', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-test-'));
  try {
    const file = join(dir, 'figures.json');
    const { code, stdout, stderr } = await run([...argv, '--json', file], { cwd: checkout, timeoutMs: 50_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^connect, one request, close[\s\S]*^direct +[\d,]+ .*\n^weft +[\d,]+ /m);
    const report = JSON.parse(readFileSync(file, 'utf8'));
    expect(report).toMatchObject({ quick: true, rounds: 1, leftOut: [], failures: [] });
    expect(report.works).toHaveLength(1);
    const [direct, weft] = report.works[0].peers;
    expect([direct.peer, weft.peer]).toEqual(['direct', 'weft']);
    expect(weft.median).toBeGreaterThan(0);
    expect(direct.ratio).toBeCloseTo(weft.median / direct.median);
    const [tried] = weft.tries;
    expect(tried.amount).toBeGreaterThan(0);
    if (process.platform === 'linux') {
      expect(tried.cpu.own).toBeGreaterThan(0);
      expect(tried.cpu.machine).toBeGreaterThan(0);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('bounds are measured by their names, without peers', async () => {
  const names = ['test/bench/main.ts', '--quick', '--only', 'compile,verdict'];
  const { code, stdout, stderr } = await run(['node', ...names], { cwd: checkout, timeoutMs: 50_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^Bounds$[\s\S]*^compile +[\d.]+ ms .*\n^verdict +[\d.]+ /m);
});

test('an interrupt ends everything that it started', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-test-'));
  try {
    const bench = new Process([...argv, '--rounds', '50'], { cwd: checkout, env: { ...process.env, TMPDIR: dir } });
    // Agents have been started when their folder is there; whether they are ready yet makes no difference.
    await until(
      'an agent runs',
      () => run(['sh', '-c', 'ls "$0"/*/client/weft/agent', dir]),
      ({ code }) => code === 0,
      SETTLED_MS,
    );
    if (process.platform === 'linux') expect(programsIn(dir)).not.toEqual([]);
    bench.signal('SIGINT');
    const { code, stderr } = await bench.finished();
    expect({ code, stderr }).toEqual({ code: 130, stderr: 'interrupted\n' });
    expect(programsIn(dir)).toEqual([]);
    expect((await run(['ls', '-A', dir])).stdout).toBe('');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** The programs that run with this folder for temporary files, as all of one bench do. */
function programsIn(dir: string): readonly string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').filter((id) => {
    try {
      return readFileSync(`/proc/${id}/environ`, 'utf8').includes(`TMPDIR=${dir}\0`);
    } catch {
      // Not a process, not ours, or gone.
      return false;
    }
  });
}
