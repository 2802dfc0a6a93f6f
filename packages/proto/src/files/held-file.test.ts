import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { removeSecretFile } from './secret-file.ts';

// As in a directory that may not be written to; root, who may write to all, could not see that otherwise.
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  rm: () => Promise.reject(new Error('EACCES: permission denied')),
}));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-held-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a file that its directory does not let go of is emptied, and what it links to is not', async () => {
  const path = join(directory, 'netmap.json');
  writeFileSync(path, 'keys of peers');
  await removeSecretFile(path);
  expect(readFileSync(path, 'utf8')).toBe('');
  const link = join(directory, 'link');
  writeFileSync(path, 'of another');
  symlinkSync(path, link);
  await expect(removeSecretFile(link)).rejects.toMatchObject({
    code: 'unwritable',
    message: expect.stringMatching(/cannot remove .*EACCES/),
  });
  expect(readFileSync(path, 'utf8')).toBe('of another');
});
