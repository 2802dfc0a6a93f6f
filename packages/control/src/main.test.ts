import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = mkdtempSync(join(tmpdir(), 'weft-main-'));
afterAll(() => rmSync(root, { recursive: true }));

test('a start with the key and without the data is refused, and says what to do', () => {
  const directory = join(root, 'halved');
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(join(directory, 'control.key'), 'a key', { mode: 0o600 });
  const program = `import(${JSON.stringify(join(import.meta.dirname, 'main.ts'))}).then(({ main }) => main(process.argv));`;
  const { status, stderr } = spawnSync(
    process.execPath,
    ['-e', program, 'weft-control', 'serve', '--data', directory],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  expect(stderr).toMatch(
    /^weft-control: .*control\.key is there and .*control\.db is not.*from a backup; or, to begin anew/,
  );
  expect([status, readdirSync(directory).includes('control.db')]).toEqual([1, false]);
}, 60_000);

test('a start that fails for the flows says what failed, why and what to do, in one line', () => {
  const directory = join(root, 'data');
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(join(directory, 'flows'), '');
  const program = `import(${JSON.stringify(join(import.meta.dirname, 'main.ts'))}).then(({ main }) => main(process.argv));`;
  const listen = ['--listen', '127.0.0.1:0', '--dashboard', 'off'];
  const { status, stderr } = spawnSync(
    process.execPath,
    ['-e', program, 'weft-control', 'serve', '--data', directory, ...listen],
    { encoding: 'utf8', timeout: 60_000 },
  );
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  expect(lines).toEqual([
    expect.stringMatching(/^weft-control: the flows in .* could not be opened: EEXIST.*; make it/),
  ]);
  expect(status).toBe(1);
}, 60_000);

test('a start that fails shows no terminal what it would obey', () => {
  const directory = join(root, 'x\u001b[31m\u009b31m\u202e\u2028');
  writeFileSync(directory, '');
  const program = `import(${JSON.stringify(join(import.meta.dirname, 'main.ts'))}).then(({ main }) => main(process.argv));`;
  const { status, stderr } = spawnSync(
    process.execPath,
    ['-e', program, 'weft-control', 'serve', '--data', directory],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect(stderr).toContain('x\\u001b[31m\\u009b31m\\u202e\\u2028');
  expect(stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(status).toBe(1);
}, 60_000);
