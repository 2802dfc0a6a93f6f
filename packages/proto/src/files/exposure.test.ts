import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exposedSecrets, lookAtSecrets, replaceableAbove, whoElseWrites } from './index.ts';

const uid = process.getuid?.() ?? -1;
let root: string;
let directory: string;
let key: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weft-exposure-'));
  directory = join(root, 'state');
  mkdirSync(directory, { mode: 0o700 });
  key = join(directory, 'key');
  for (const name of ['key', 'certificate']) writeFileSync(join(directory, name), '', { mode: 0o600 });
});

afterEach(() => rmSync(root, { recursive: true }));

const isSecret = (name: string): boolean => name !== 'certificate';

function told(): unknown[] {
  const events: unknown[] = [];
  lookAtSecrets({ directory, isSecret, uid, logger: { warn: (event: unknown) => void events.push(event) } });
  return events;
}

test('secrets that others may read are told, and nothing else', () => {
  chmodSync(join(directory, 'certificate'), 0o666);
  expect(told()).toEqual([]);
  for (const mode of [0o644, 0o640, 0o604]) {
    chmodSync(key, mode);
    expect(told()).toEqual([{ event: 'secret-exposed', path: key }]);
    expect(exposedSecrets({ directory, isSecret })).toEqual([key]);
  }
  chmodSync(key, 0o600);
  mkdirSync(join(directory, 'replaced'), { mode: 0o755 });
  expect(told()).toEqual([{ event: 'secret-exposed', path: join(directory, 'replaced') }]);
});

test('one that others may write to is refused where they may enter, and told where they may not', () => {
  chmodSync(key, 0o660);
  expect(told()).toEqual([{ event: 'secret-exposed', path: key }]);
  for (const mode of [0o710, 0o711, 0o755]) {
    chmodSync(directory, mode);
    expect(told).toThrow(`cannot use ${key}: it may be written to by others`);
  }
  chmodSync(key, 0o600);
  expect(told()).toEqual([]);
});

test.skipIf(uid !== 0)("one that is another user's is refused likewise", () => {
  chownSync(key, 1_000, 1_000);
  expect(told()).toEqual([]);
  chmodSync(directory, 0o755);
  expect(told).toThrow(`cannot use ${key}: it belongs to another user, 1000`);
  expect(whoElseWrites({ uid: 0, mode: 0o600 }, 1_000)).toBeUndefined();
});

test('a directory above that others may write to is told, by each path that leads there', () => {
  const other = mkdtempSync(join(tmpdir(), 'weft-exposure-'));
  try {
    symlinkSync(directory, join(other, 'link'));
    expect(replaceableAbove(join(other, 'link'), uid)).toEqual([]);
    chmodSync(other, 0o777);
    chmodSync(root, 0o1777);
    expect(replaceableAbove(join(other, 'link'), uid)).toEqual([other]);
    chmodSync(root, 0o777);
    expect(replaceableAbove(join(other, 'link'), uid)).toEqual([other, root]);
    expect(told()).toEqual([{ event: 'directory-replaceable', path: root }]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

test.skipIf(uid !== 0)('a group above counts unless it is of that user alone', () => {
  chownSync(root, 0, 50);
  chmodSync(root, 0o770);
  expect(replaceableAbove(directory, 0)).toEqual([root]);
  chownSync(root, 1_000, 1_000);
  expect([replaceableAbove(directory, 1_000), replaceableAbove(directory, 0)]).toEqual([[], [root]]);
});
