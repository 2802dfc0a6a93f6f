/** The bench itself, so that it cannot rot: its smallest run, with nothing but Node and without root. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../harness/host.ts';
import { Process, run } from '../harness/process.ts';
import { commandOf } from '../harness/processes.ts';
import { SETTLED_MS, until } from '../harness/until.ts';

const argv = ['node', 'test/bench/main.ts', '--quick', '--loopback', '--only', 'connect', '--peers', 'direct,weft'];

test('a quick run measures, prints a table and writes its figures', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-test-'));
  try {
    const file = join(dir, 'figures.json');
    const { code, stdout, stderr } = await run([...argv, '--json', file], { cwd: checkout, timeoutMs: 50_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^### connect, one request, close[\s\S]*^\| direct .*\| +[\d,]+ .*\n\| weft .*\| +[\d,]+ /m);
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

test('real servers are measured by their works, and nothing of them is left', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-test-'));
  // For the hosts' ordinary user, too.
  chmodSync(dir, 0o1777);
  try {
    const file = join(dir, 'figures.json');
    const works = ['paced', 'ping', 'gateway', 'pgbench', 'amqp'];
    // PostgreSQL does not run as root: there its host is made.
    const where = process.getuid?.() === 0 ? [] : ['--loopback'];
    const of = ['--quick', '--only', works.join(), '--peers', 'direct,weft', ...where, '--json', file];
    const bench = new Process(['node', 'test/bench/main.ts', ...of], {
      cwd: checkout,
      env: { ...process.env, TMPDIR: dir },
    });
    const served = new Set<string>();
    const looking = setInterval(() => {
      for (const id of programsIn(dir)) served.add(id);
    }, 500);
    const { code, stderr } = await bench.finished(100_000);
    clearInterval(looking);
    expect({ code, stderr, said: bench.stdout.match(/^FAILED.*/gm) }).toEqual({ code: 0, stderr: '', said: null });
    const report = JSON.parse(readFileSync(file, 'utf8')) as {
      works: { name: string; peers: { peer: string; median: number; endsCpu?: object }[] }[];
      leftOut: { name: string }[];
    };
    const measured = report.works.map(({ name }) => name);
    // iperf3 is not everywhere; the others are in CI.
    const left = report.leftOut.map(({ name }) => name);
    expect(new Set([...measured, ...left])).toEqual(new Set(works));
    if (process.env.CI === 'true') expect(left.filter((name) => name !== 'ping')).toEqual([]);
    for (const { name, peers } of report.works) {
      const weft = peers.find(({ peer }) => peer === 'weft');
      expect({ name, measured: (weft?.median ?? 0) > 0 }).toEqual({ name, measured: true });
    }
    // Weft answers HTTP on the callers' agent, and only carries it on the other.
    const gateway = report.works.find(({ name }) => name === 'gateway');
    const ends = gateway?.peers.find(({ peer }) => peer === 'weft')?.endsCpu as { client: number; server: number };
    if (gateway !== undefined && process.platform === 'linux') expect(ends.client).toBeGreaterThan(ends.server);
    await noneIn(dir);
    expect(sharedMemoryOf(served)).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('bounds are measured by their names, without peers', async () => {
  const names = ['test/bench/main.ts', '--quick', '--only', 'compile,verdict'];
  const { code, stdout, stderr } = await run(['node', ...names], { cwd: checkout, timeoutMs: 50_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^### Bounds$[\s\S]*^\| compile +\| +[\d.]+ ms .*\n\| verdict +\| +[\d.]+ /m);
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
    await noneIn(dir);
    expect((await run(['ls', '-A', dir])).stdout).toBe('');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** What was told to end ends, though not in the same moment. */
function noneIn(dir: string): Promise<unknown> {
  return until(
    'nothing of it runs',
    () => programsIn(dir).map((id) => ({ id, command: commandOf(Number(id)) })),
    ({ length }) => length === 0,
  );
}

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

/** Segments of shared memory that one of these processes made, as the kernel still has them. */
function sharedMemoryOf(ids: ReadonlySet<string>): readonly string[] {
  if (process.platform !== 'linux') return [];
  const [, ...segments] = readFileSync('/proc/sysvipc/shm', 'utf8').trim().split('\n');
  // key shmid perms size cpid lpid
  return segments.filter((line) => ids.has(line.trim().split(/\s+/)[4] ?? ''));
}
