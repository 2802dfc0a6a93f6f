import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockDirectory } from '@weft/proto/files';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openKeys } from '../enroll/certificate.ts';
import { openCredentials } from '../enroll/credentials.ts';
import { mesh, redis } from '../state/state.fixture.ts';
import { openState } from '../state/state.ts';
import { Store } from '../store/store.ts';
import { isSecret } from './contents.ts';
import { restore } from './restore.ts';
import { backUp } from './write.ts';

let root: string;
let from: string;
let to: string;
let file: string;
/** Control's data, open as while it runs. */
let store: Store;
const now = () => Date.UTC(2026, 0, 2);

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'weft-backup-'));
  [from, to, file] = [join(root, 'from'), join(root, 'to'), join(root, 'backup')];
  mkdirSync(from, { mode: 0o700 });
  store = Store.open(from);
  // In control's log, and not yet in the file of its database.
  await (await openState({ store, now })).apply(mesh([redis]), { dryRun: false, actor: 'admin' });
  const { pin } = await openKeys({ directory: from, names: ['localhost'] });
  await openCredentials(from, pin);
});

afterEach(() => {
  store.close();
  rmSync(root, { recursive: true });
});

const back = () => backUp({ directory: from, file, now });
const put = (replace = false) => restore({ directory: to, file, replace, now });
const textOf = (directory: string, name: string) => readFileSync(join(directory, name), 'utf8');
const SECRETS = ['admin.token', 'control.crt', 'control.key', 'read.token'];

/** The code that it throws, and that nothing was made or touched by it. */
function refusal(act: () => unknown): unknown {
  const before = listing();
  try {
    act();
  } catch (error) {
    expect(listing()).toEqual(before);
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  throw new Error('it was not refused');
}

/** Makes a directory one that cannot be moved, until what is answered is called. */
function pinned(directory: string): () => void {
  if (process.getuid?.() === 0) {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
    return () => execFileSync('umount', [directory]);
  }
  // Its entry of the directory above would have to be written.
  chmodSync(directory, 0o500);
  return () => chmodSync(directory, 0o700);
}

/** All files but locks, and what SQLite makes for who only reads. */
function listing(): string[] {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => name !== 'to' && !/lock$|-shm$|-wal$/.test(name)).toSorted();
}

test('a backup takes away what one that was killed has left, and leaves one that is under way', () => {
  const [killed, running, other] = ['killed', 'runing', 'others'].map((letters) => `${file}.half-${letters}`) as [
    ...[string, string, string],
  ];
  for (const folder of [killed, running]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'control.db'), 'keys');
    lockDirectory(folder, 'backup', 'weft-control backup').release();
  }
  mkdirSync(`${other}-of-another-name`);
  const lock = lockDirectory(running, 'backup', 'weft-control backup');
  back();
  lock.release();
  expect([killed, running, `${other}-of-another-name`].map((path) => existsSync(path))).toEqual([false, true, true]);
  back();
  expect(readdirSync(root).sort()).toEqual(['backup', 'backup.half-others-of-another-name', 'from']);
});

describe('a backup', () => {
  test('of a control that runs and writes is what was committed, for its owner alone, with nothing beside it', () => {
    const lock = lockDirectory(from, 'control', 'weft-control');
    const other = new DatabaseSync(join(from, 'control.db'));
    other.exec('BEGIN IMMEDIATE; UPDATE networks SET revision = 99');
    expect(back()).toMatchObject({ networks: 1, revision: 1, madeMs: now() });
    other.exec('ROLLBACK');
    other.close();
    lock.release();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(root).toSorted()).toEqual(['backup', 'from']);
  });

  test('takes the place of one of before, and of nothing else', () => {
    back();
    back();
    writeFileSync(file, 'a letter');
    expect(refusal(back)).toBe('occupied');
    expect(textOf(root, 'backup')).toBe('a letter');
    file = join(from, 'control.db');
    expect(refusal(back)).toBe('occupied');
  });

  test('of no control, or into no directory, is refused', () => {
    file = join(root, 'none', 'backup');
    expect(refusal(back)).toBe('unwritable');
    rmSync(join(from, 'control.key'));
    expect(refusal(back)).toBe('no-control');
    from = join(root, 'nowhere');
    expect(refusal(back)).toBe('no-control');
  });

  test('by who may not look says so, and not that no control is there', () => {
    chmodSync(root, 0o755);
    // At once and until the end of this: the process may be other tests' too.
    if (process.getuid?.() === 0) process.seteuid?.(65_534);
    else chmodSync(from, 0);
    try {
      expect(back).toThrow(
        /^cannot look into .*from: cannot stat .*this user may not \(EACCES\); run this as the user who runs control there/,
      );
    } finally {
      if (process.getuid?.() === 0) process.seteuid?.(0);
      chmodSync(from, 0o700);
    }
  });

  test('into what is no directory says so', () => {
    file = join(from, 'control.key', 'backup');
    expect(refusal(back)).toBe('unwritable');
  });

  test('of damaged data leaves the one of before', () => {
    back();
    const kept = textOf(root, 'backup');
    store.close();
    store = Store.inMemory();
    const path = join(from, 'control.db');
    rmSync(`${path}-wal`, { force: true });
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4_096);
    writeFileSync(path, bytes);
    expect(refusal(back)).toBe('unreadable');
    expect(textOf(root, 'backup')).toBe(kept);
  });
});

describe('a restore', () => {
  test('that cannot move all of what is there aside leaves it as it was', () => {
    back();
    put();
    const inside = join(to, 'flows');
    mkdirSync(inside);
    const done = pinned(inside);
    try {
      expect(refusal(() => put(true))).toBe('unwritable');
    } finally {
      done();
    }
    expect(put(true).movedTo).toMatch(/replaced-/);
  });

  test.runIf(process.getuid?.() === 0)('by root is for the user whose directory it is', () => {
    back();
    mkdirSync(to, { mode: 0o700 });
    chownSync(to, 65_534, 65_534);
    put();
    for (const name of readdirSync(to)) expect([name, statSync(join(to, name)).uid]).toEqual([name, 65_534]);
    from = to;
    file = join(root, 'again');
    expect(back()).toMatchObject({ revision: 1 });
    expect(statSync(file).uid).toBe(0);
  });

  test('makes the directory what control was', async () => {
    back();
    expect(put()).toMatchObject({ revision: 1, networks: 1, madeMs: now(), movedTo: undefined });
    for (const name of SECRETS) expect(textOf(to, name)).toBe(textOf(from, name));
    expect(readdirSync(to).toSorted()).toEqual([
      'admin.token',
      'control.crt',
      'control.db',
      'control.key',
      'control.lock',
      'read.token',
    ]);
    const modes = readdirSync(to).map((name) => statSync(join(to, name)).mode & 0o777);
    expect(modes.filter((mode) => mode !== 0o600)).toEqual([0o644]);
    const restored = Store.open(to);
    const { current } = await openState({ store: restored, now });
    expect([...(current.networks.get('prod')?.mesh.services ?? [])].map(({ name }) => name)).toEqual(['redis']);
    restored.close();
  });

  test('of half a file is refused, wherever it was cut', () => {
    back();
    const whole = readFileSync(file);
    const header = whole.indexOf('\n', whole.indexOf('\n') + 1);
    for (const length of [0, 5, 19, 20, header, header + 1, header + 700, whole.length - 66, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, length));
      expect([length, refusal(put)]).toEqual([length, length < 20 ? 'not-a-backup' : 'damaged']);
    }
  });

  test('of a file with one bit turned, or one byte more, is refused', () => {
    back();
    const whole = readFileSync(file);
    for (let at = 20; at < whole.length; at += 9_973) {
      const turned = Uint8Array.from(whole);
      turned[at] = (turned[at] ?? 0) ^ 4;
      writeFileSync(file, turned);
      expect([at, refusal(put)]).toEqual([at, 'damaged']);
    }
    writeFileSync(file, whole);
    appendFileSync(file, 'x');
    expect(refusal(put)).toBe('damaged');
  });

  test('of what is no backup, is not there, or is a directory, is refused', () => {
    for (const path of [join(from, 'control.db'), join(from, 'control.key')]) {
      file = path;
      expect(refusal(put)).toBe('not-a-backup');
    }
    for (const path of [from, join(root, 'none')]) {
      file = path;
      expect(refusal(put)).toBe('unreadable');
    }
  });

  test.each([
    ['form of a file', '"form":1', '"form":2', 'too-new'],
    ['name outside', '"name":"read.token"', '"name":"../x"', 'damaged'],
    ['name twice', '"name":"read.token"', '"name":"admin.token"', 'damaged'],
    ['size', '"size":', '"size":-', 'damaged'],
  ])('of an unknown %s is refused, with a sum that fits', (_, was, is, code) => {
    back();
    rewrite((header) => header.replace(was, is));
    expect(refusal(put)).toBe(code);
  });

  test('of data that a newer version wrote is refused, and names the version', () => {
    const data = new DatabaseSync(join(from, 'control.db'));
    back();
    const { schema } = data.prepare('SELECT schema FROM written').get() ?? {};
    data.close();
    rewrite((header) => header.replace(/"writtenBy":"[^"]*"/, '"writtenBy":"9.9.9"'), Number(schema) + 1);
    expect(put).toThrow(/weft-control 9\.9\.9, which is too much newer.*restore it with that version/);
    expect(refusal(put)).toBe('too-new');
  });

  test('leaves a control that is there, running or not, and moves it aside when asked to', () => {
    back();
    put();
    writeFileSync(join(to, 'admin.token'), 'another');
    expect(refusal(put)).toBe('occupied');
    const lock = lockDirectory(to, 'control', 'weft-control');
    expect(refusal(put)).toBe('in-use');
    expect(refusal(() => put(true))).toBe('in-use');
    lock.release();
    const { movedTo = '' } = put(true);
    expect(textOf(movedTo, 'admin.token')).toBe('another');
    expect(existsSync(join(movedTo, 'control.key'))).toBe(true);
    expect(textOf(to, 'admin.token')).toBe(textOf(from, 'admin.token'));
    writeFileSync(file, readFileSync(file).subarray(0, -9));
    expect(refusal(() => put(true))).toBe('damaged');
    expect(textOf(to, 'admin.token')).toBe(textOf(from, 'admin.token'));
  });
});

/** The backup with another header, another number of its schema, and a sum that fits. */
function rewrite(change: (header: string) => string, schema?: number): void {
  const whole = readFileSync(file);
  const start = whole.indexOf('\n') + 1;
  const end = whole.indexOf('\n', start);
  const header = whole.subarray(start, end).toString();
  const body = Buffer.from(whole.subarray(end + 1, -65));
  // Big-endian in SQLite's header; the database is the last of the files.
  const { size } = JSON.parse(header).files.at(-1);
  if (schema !== undefined) body.writeUInt32BE(schema, body.length - size + 60);
  const all = Buffer.concat([whole.subarray(0, start), Buffer.from(`${change(header)}\n`), body]);
  writeFileSync(file, all);
  appendFileSync(file, `${createHash('sha256').update(all).digest('hex')}\n`);
}

test('who else could read or write a backup is told as it is restored, and each secret is known', () => {
  let atMs = now();
  const exposed = () => restore({ directory: to, file, replace: true, now: () => atMs++ }).exposed;
  back();
  expect(exposed()).toBeUndefined();
  chmodSync(file, 0o644);
  expect(exposed()).toMatch(/^others may read it: run chmod go=/);
  chmodSync(file, 0o660);
  expect(exposed()).toMatch(/^it may be written to by others, who may have put keys of their own there/);
  const open = readdirSync(to).filter((name) => !isSecret(name));
  expect(new Set(open)).toEqual(new Set(['control.crt', 'control.lock']));
  for (const name of readdirSync(to).filter(isSecret)) expect(statSync(join(to, name)).mode & 0o077).toBe(0);
});
