import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../until.fixture.ts';

const noScript = spawnSync('script', ['--version']).status !== 0 || !existsSync('/proc/self/stat');
const FIXTURE = fileURLToPath(new URL('./hangup.fixture.ts', import.meta.url));
const BOUND_MS = 30_000;

/** Runs it at a terminal of its own, by a line of bash. */
async function atTerminal(line: string) {
  const directory = mkdtempSync(`${tmpdir()}/weft-hangup-`);
  const file = `${directory}/said`;
  const command = line.replace('PROGRAM', `${process.execPath} ${FIXTURE} ${file}`);
  const script = spawn('script', ['-qec', `bash -c '${command}'`, '/dev/null'], { stdio: 'ignore' });
  const said = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
  await until(() => said().length > 0, BOUND_MS);
  const pid = Number(said()[0]);
  onTestFinished(() => {
    script.kill('SIGKILL');
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
    rmSync(directory, { recursive: true });
  });
  return {
    pid,
    said: () => said().slice(1),
    /** As when its window is closed. */
    close: () => script.kill('SIGKILL'),
    terminal: () => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[4],
    files: () => readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)),
  };
}

const ELSEWHERE = '</dev/null >/dev/null 2>&1';

test.skipIf(noScript).each([
  ['one of its descriptors', 'exec PROGRAM </dev/null 2>/dev/null'],
  ['the controlling one, of which no descriptor is', `exec PROGRAM ${ELSEWHERE}`],
  ['that of a script', `PROGRAM ${ELSEWHERE}; true`],
])('a terminal that goes ends what is at it: %s', async (_, line) => {
  const { said, close } = await atTerminal(line);
  close();
  await until(() => said().includes('drained'), BOUND_MS);
  expect(said()).toEqual(['stopped', 'drained']);
});

test.skipIf(noScript)('a terminal that goes hurries nobody who is stopping', async () => {
  const { pid, said, close } = await atTerminal(`exec PROGRAM 1500 </dev/null 2>/dev/null`);
  process.kill(pid, 'SIGTERM');
  await until(() => said().length > 0, BOUND_MS);
  close();
  await until(() => said().includes('drained'), BOUND_MS);
  expect(said()).toEqual(['stopped', 'drained']);
});

test.skipIf(noScript).each([
  ['there', `exec PROGRAM ${ELSEWHERE}`],
  ['not there', `setsid -f PROGRAM ${ELSEWHERE}; sleep 60`],
])('a hangup that is sent while a terminal is %s is told', async (_, line) => {
  const { pid, said } = await atTerminal(line);
  process.kill(pid, 'SIGHUP');
  await until(() => said().length > 0, BOUND_MS);
  expect(said()).toEqual(['told']);
});

test.skipIf(noScript)('who is in the background, and looks elsewhere, goes on without its terminal', async () => {
  // With a group of its own, as an interactive shell has it.
  const { pid, said, close, terminal } = await atTerminal(`set -m; nohup PROGRAM ${ELSEWHERE} & sleep 60`);
  close();
  await until(() => terminal() === '0', BOUND_MS);
  process.kill(pid, 'SIGHUP');
  await until(() => said().length > 0, BOUND_MS);
  expect(said()).toEqual(['told, its terminal gone']);
});

test.skipIf(noScript)(
  'who has outlived its terminal is hung up by an operator',
  async () => {
    const { pid, said, close, files } = await atTerminal('set -m; PROGRAM & sleep 60');
    close();
    // It looks no more.
    await until(() => !files().includes(`/proc/${pid}/stat`), BOUND_MS);
    process.kill(pid, 'SIGHUP');
    await until(() => said().length > 0, BOUND_MS);
    expect(said()).toEqual(['told']);
  },
  60_000,
);
