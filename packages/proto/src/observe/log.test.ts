import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { openLog } from './log.ts';

const HOSTILE = 'x\u001b[31m\u007f\u009b31m\u00ad\u202egnp\u2028\u2029\u{e0041}\n';

/** What a terminal would obey, or show nothing of. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

it('shows no terminal what it would obey, wherever in a line it stands, and loses none of it', () => {
  const lines: string[] = [];
  const log = openLog({ base: { name: HOSTILE } }, { write: (line) => lines.push(line) });
  const err = new Error(HOSTILE, { cause: new Error(HOSTILE) });
  const told = { [HOSTILE]: 1, plain: HOSTILE, deep: [{ why: HOSTILE }] };
  log.child({ worker: HOSTILE }).warn({ ...told, err }, HOSTILE);
  const [line = ''] = lines;
  expect(lines).toHaveLength(1);
  expect(line.endsWith('\n')).toBe(true);
  expect(line.slice(0, -1)).not.toMatch(OBEYED);
  expect(JSON.parse(line)).toMatchObject({ ...told, name: HOSTILE, worker: HOSTILE, msg: HOSTILE });
});

/** Fills its log past what is kept, says so, and goes on. */
const UNREAD = `
  const { openLog } = await import(process.argv[1]);
  const log = openLog({ base: null });
  const pad = 'x'.repeat(1000);
  for (let n = 0; n < 3000; n += 1) log.info({ n, pad });
  process.stdout.write('goes on');
  process.stdin.resume();
`;

it.each(['pipe', 'socket'])(
  'goes on where nobody reads its %s, and says what it lost once somebody does',
  async (kind) => {
    const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const fifo = join(dir, 'log');
    await promisify(execFile)('mkfifo', [fifo]);
    const unread = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const written = kind === 'pipe' ? openSync(fifo, 'w') : undefined;
    const log = new URL('./log.ts', import.meta.url).href;
    const child = spawn(process.execPath, ['--input-type=module', '-e', UNREAD, log], {
      stdio: ['pipe', 'pipe', written ?? 'pipe'],
    });
    if (written !== undefined) closeSync(written);
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout ?? child, 'data');
    const lost = /"event":"log-lost","lines":(\d+),/;
    const reader = new Socket({ fd: unread, writable: false });
    onTestFinished(() => void reader.destroy());
    let text = '';
    for await (const piece of child.stderr ?? reader) {
      text += String(piece);
      if (lost.test(text)) break;
    }
    const lines = text.split('\n').filter((line) => line.includes('"pad"'));
    expect(lines.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual(lines.map((_, n) => n));
    expect(lines.length).toBeGreaterThan(900);
    expect(Number(lost.exec(text)?.[1])).toBe(3000 - lines.length);
  },
);

/** Fills its log, makes some room, and says more by another logger; then reads all. */
const TWO_LOGGERS = `
  const { constants, openSync, readSync } = await import('node:fs');
  const { setTimeout: sleep } = await import('node:timers/promises');
  const { openLog } = await import(process.argv[1]);
  const reader = openSync(process.argv[2], constants.O_RDONLY | constants.O_NONBLOCK);
  const piece = Buffer.alloc(65536);
  const read = () => {
    try {
      process.stdout.write(piece.toString('utf8', 0, readSync(reader, piece)));
      return true;
    } catch {
      return false;
    }
  };
  const pad = 'x'.repeat(1000);
  const first = openLog({ base: null });
  for (let n = 0; n < 500; n += 1) first.info({ n, pad });
  read();
  openLog({ base: null }).fatal({ n: 500 });
  for (let silent = 0; silent < 20; ) {
    if (read()) silent = 0;
    else {
      silent += 1;
      await sleep(50);
    }
  }
`;

it('says what a second logger has, such as of a crash, behind what the first one keeps', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const fifo = join(dir, 'log');
  await promisify(execFile)('mkfifo', [fifo]);
  const log = new URL('./log.ts', import.meta.url).href;
  const program = 'exec "$0" --input-type=module -e "$1" "$2" "$3" 2<>"$3"';
  const ran = await promisify(execFile)('sh', ['-c', program, process.execPath, TWO_LOGGERS, log, fifo]);
  const told = ran.stdout.trimEnd().split('\n');
  expect(told.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual(Array.from({ length: 501 }, (_, n) => n));
});

/** Says more than a terminal takes of which nobody reads, and ends. */
const AT_TERMINAL = `
  import { openLog } from '${new URL('./log.ts', import.meta.url).href}';
  const log = openLog({ base: null });
  for (let n = 0; n < 3000; n += 1) log.info({ n, pad: 'x'.repeat(1000) });
  process.exit();
`;
const OTHER_USER = 'setpriv --reuid 65534 --regid 65534 --clear-groups';
const noOtherUser =
  ['script', 'setpriv'].some((program) => spawnSync(program, ['--version']).status !== 0) || process.getuid?.() !== 0;

it.skipIf(noOtherUser)('goes on where nobody reads its terminal, which is another user’s, as under su', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  const program = join(dir, 'program.mjs');
  writeFileSync(program, AT_TERMINAL);
  chmodSync(dir, 0o755);
  const over = join(dir, 'over');
  const line = `${OTHER_USER} ${process.execPath} ${program}; touch ${over}`;
  // What it shows goes to a pipe that nobody reads.
  const script = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => {
    script.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  });
  await expect.poll(() => existsSync(over), { timeout: 30_000 }).toBe(true);
});

/** Fills its log past what is kept, makes room, logs one line more, and ends at once. */
const OUT_OF_ROOM = `
  const { truncateSync } = await import('node:fs');
  const { openLog } = await import(process.argv[1]);
  const log = openLog({ base: null });
  const pad = 'x'.repeat(1000);
  for (let n = 0; n < 6000; n += 1) log.info({ n, pad });
  truncateSync(process.argv[2]);
  log.info({ n: 6000, pad });
  process.exit();
`;

it('says what it kept, and how much it lost, once there is room again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  const file = join(dir, 'log');
  // A file that may take no more is to its writer as a disk that is full: 4,096 blocks of 512 or 1,024 bytes.
  const limited = 'ulimit -f 4096 && exec "$0" --input-type=module -e "$1" "$2" "$3" 2>>"$3"';
  const log = new URL('./log.ts', import.meta.url).href;
  await promisify(execFile)('sh', ['-c', limited, process.execPath, OUT_OF_ROOM, log, file]);
  const written = readFileSync(file, 'utf8');
  rmSync(dir, { recursive: true });
  // The first line may be the rest of one that was cut as the room ended.
  const lines = written
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line));
  expect(lines.length).toBeGreaterThan(900);
  const kept = lines.slice(0, -2);
  expect(kept.map(({ n }) => n)).toEqual(kept.map((_, index) => kept[0].n + index));
  // All that came behind what was kept, but the line that made the room known: it may be the last of a program that ends by it.
  expect(lines.at(-2)).toMatchObject({ n: 6000 });
  expect(lines.at(-1)).toMatchObject({ event: 'log-lost', lines: 5999 - kept.at(-1).n });
});
