import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAbsent } from '../node/system-error.ts';
import {
  createSecretFile,
  lockDirectory,
  lockState,
  prepareDirectory,
  readFileNow,
  readSecretFile,
  removeHalfWritten,
  replaceFileNow,
  replaceSecretFile,
} from './index.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-files-'));
  path = join(directory, 'secret');
});

afterEach(() => rmSync(directory, { recursive: true }));

const mode = (file: string) => statSync(file).mode & 0o777;
const uid = process.getuid?.() ?? -1;

describe('a secret file', () => {
  test('is made once, for its owner alone, and leaves nothing beside it', async () => {
    expect(await readSecretFile(path)).toBeUndefined();
    await createSecretFile(path, 'one');
    await expect(createSecretFile(path, 'two')).rejects.toMatchObject({ code: 'unwritable' });
    expect([await readSecretFile(path), mode(path)]).toEqual(['one', 0o600]);
    expect(readdirSync(directory)).toEqual(['secret']);
  });

  test('is replaced whole, and takes the mode that is asked for', async () => {
    writeFileSync(path, 'longer than what comes', { mode: 0o644 });
    await replaceSecretFile(path, 'new');
    expect([await readSecretFile(path), mode(path)]).toEqual(['new', 0o600]);
    await replaceSecretFile(path, 'public', 0o644);
    expect(mode(path)).toBe(0o644);
    expect(readdirSync(directory)).toEqual(['secret']);
  });

  test('is known to be out of the way where no file is left to open, and to stay where nothing can take it away', () => {
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { dirname } from 'node:path';
      import { emptySecretFile } from ${JSON.stringify(new URL('secret-file.ts', import.meta.url).href)};
      const path = process.argv[1];
      const held = [];
      for (;;) try { held.push(openSync('/dev/null')); } catch { break; }
      const told = [await emptySecretFile(path), await emptySecretFile(path), await emptySecretFile(dirname(path))];
      for (const one of held) closeSync(one);
      console.log(JSON.stringify(told));
    `;
    writeFileSync(path, 'what was permitted');
    const node = [process.execPath, '--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script, path];
    const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 64 && exec "$0" "$@"', ...node], { encoding: 'utf8' });
    expect([stdout, stderr, readdirSync(directory)]).toEqual(['[true,true,false]\n', '', []]);
  });

  test('is never read nor written through a link', async () => {
    const target = join(directory, 'target');
    writeFileSync(target, 'of another');
    symlinkSync(target, path);
    await expect(readSecretFile(path)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringMatching(`cannot read ${path}: .*no link`),
    });
    await replaceSecretFile(path, 'mine');
    expect([readFileSync(target, 'utf8'), await readSecretFile(path)]).toEqual(['of another', 'mine']);
  });

  test('is not waited for where a pipe stands in its place', async () => {
    execFileSync('mkfifo', [path]);
    await expect(readSecretFile(path)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringMatching('no file'),
    });
    expect(() => readFileNow(path)).toThrow(/cannot read .*no file/);
  });

  test('is read at once by the same rules', async () => {
    expect(readFileNow(path)).toBeUndefined();
    await createSecretFile(path, 'one');
    expect(readFileNow(path)).toBe('one');
    symlinkSync(path, join(directory, 'link'));
    expect(() => readFileNow(join(directory, 'link'))).toThrow(/no link/);
    expect(() => readFileNow(directory)).toThrow(/no file/);
  });

  test('that cannot be written is named, and what was there stays', async () => {
    const gone = join(directory, 'gone', 'secret');
    await expect(replaceSecretFile(gone, 'x')).rejects.toThrow(`cannot write ${gone}: ENOENT`);
    await createSecretFile(join(directory, 'file'), 'x');
    await expect(readSecretFile(directory)).rejects.toMatchObject({ code: 'unreadable' });
  });

  test('that was being written when the program was killed leaves nothing for ever, and others lose nothing', () => {
    const kept = [
      'other.0123456789ab.tmp',
      'secret',
      'secret.0123456789AB.tmp',
      'secret.0123456789ab.tmp.old',
      'secret.0123456789abc.tmp',
      'secret.tmp',
      'secretx0123456789ab.tmp',
      'xsecret.0123456789ab.tmp',
    ];
    for (const name of [...kept, 'secret.0123456789ab.tmp', 'to.ken.ba9876543210.tmp', 'toxken.ba9876543210.tmp']) {
      writeFileSync(join(directory, name), 'half');
    }
    mkdirSync(join(directory, 'secret.aaaaaaaaaaaa.tmp'));
    removeHalfWritten(directory, ['secret', 'to.ken']);
    const left = [...kept, 'secret.aaaaaaaaaaaa.tmp', 'toxken.ba9876543210.tmp'];
    expect(new Set(readdirSync(directory))).toEqual(new Set(left));
    expect(() => removeHalfWritten(join(directory, 'gone'), ['secret'])).not.toThrow();
  });

  test('is half written under a name that is known for one', async () => {
    const gone = join(directory, 'gone');
    const file = join(gone, 'secret');
    const failures = [
      await createSecretFile(file, 'x').catch(String),
      await replaceSecretFile(file, 'x').catch(String),
      await (async () => replaceFileNow(file, 'x'))().catch(String),
    ];
    mkdirSync(gone);
    const made = failures.map((failure) => /open '(.+)'/.exec(failure ?? '')?.[1] ?? '');
    for (const temporary of made) writeFileSync(temporary, 'half');
    expect(readdirSync(gone)).toHaveLength(3);
    removeHalfWritten(gone, ['secret']);
    expect(readdirSync(gone)).toEqual([]);
  });
});

describe('the directory', () => {
  test('is made for its owner alone, and refused when others may write to it', () => {
    const inner = join(directory, 'a', 'b');
    prepareDirectory(inner, uid);
    expect(mode(inner)).toBe(0o700);
    prepareDirectory(inner, uid);
    for (const open of [0o777, 0o770, 0o720, 0o702]) {
      chmodSync(inner, open);
      expect(() => prepareDirectory(inner, uid)).toThrow(`chmod go-w ${inner}`);
    }
    for (const fine of [0o700, 0o750, 0o755]) {
      chmodSync(inner, fine);
      prepareDirectory(inner, uid);
    }
    expect(() => prepareDirectory('/proc/none/here', uid)).toThrow(
      'cannot use /proc/none/here: cannot mkdir /proc/none: there is no such file or directory (ENOENT); choose another directory with --data',
    );
  });

  test("is refused when it is another user's, and when it is no directory", () => {
    expect(() => prepareDirectory(directory, uid + 1)).toThrow(/belongs to another user.*chown/);
    writeFileSync(path, '');
    expect(() => prepareDirectory(path, uid)).toThrow(/no directory/);
  });

  test.skipIf(uid !== 0)("is refused to root when it is another user's, who could put another key there", () => {
    chownSync(directory, 1000, 1000);
    expect(() => prepareDirectory(directory, 0)).toThrow(/cannot use .*belongs to another user.*chown -R 0 .*--data/);
  });

  test('lets one program in at a time', () => {
    expect(lockState(directory, 'agent')).toBe('free');
    const lock = lockDirectory(directory, 'agent', 'agent');
    expect([lockState(directory, 'agent'), lockState(directory, 'agent')]).toEqual(['held', 'held']);
    expect(mode(join(directory, 'agent.lock'))).toBe(0o600);
    expect(() => lockDirectory(directory, 'agent', 'agent')).toThrow(expect.objectContaining({ code: 'in-use' }));
    lock.release();
    expect(lockState(directory, 'agent')).toBe('free');
    lockDirectory(directory, 'agent', 'agent').release();
    expect(readdirSync(directory)).toEqual(['agent.lock']);
  });

  test('tells a lock that cannot be read from none', () => {
    mkdirSync(join(directory, 'agent.lock'));
    expect([lockState(directory, 'agent'), isAbsent(join(directory, 'agent.lock'))]).toEqual(['unknown', false]);
    // A name that no file system takes is neither seen nor known not to be there.
    expect(isAbsent(join(directory, 'x'.repeat(300)))).toBe(false);
    writeFileSync(path, '');
    expect([isAbsent(join(path, 'below')), isAbsent(`${path}-none`)]).toEqual([true, true]);
  });

  test.skipIf(uid !== 0)('that cannot be written to is told of with what to do there', () => {
    const module = JSON.stringify(new URL('./lock.ts', import.meta.url).href);
    const lock = `(await import(${module})).lockDirectory(${JSON.stringify(directory)}, 'agent', 'agent')`;
    const told = spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        'mount -t tmpfs -o ro none "$1" && exec "$0" --input-type=module -e "$2"',
        process.execPath,
      ].concat([directory, lock]),
      { encoding: 'utf8' },
    );
    expect(told.stderr).toMatch(
      /EROFS.*; mount it so that it may be written to, or choose another directory with --data/,
    );
  });

  test('cannot be locked through a link', () => {
    symlinkSync(path, join(directory, 'agent.lock'));
    expect(() => lockDirectory(directory, 'agent', 'agent')).toThrow(expect.objectContaining({ code: 'unusable' }));
    expect(readdirSync(directory)).toEqual(['agent.lock']);
  });
});
