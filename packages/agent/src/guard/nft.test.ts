import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findNft } from './nft.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-nft-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A program in nft's place that ends as nft does where something is not to be had. */
function failing(said: string): string {
  const path = join(folder, 'nft');
  writeFileSync(path, `#!/bin/sh\ncat >/dev/null\necho '${said}' >&2\nexit 1\n`);
  chmodSync(path, 0o755);
  return folder;
}

test('where there is no nft, it says how to have it', () => {
  expect(() => findNft(['/nowhere'])).toThrow(
    expect.objectContaining({ code: 'guard-no-nft', message: expect.stringContaining('apt-get install nftables') }),
  );
});

// As nft 1.0 says it on a kernel without nf_tables, to who is not root, without nft_fib, and of words that it does not know.
test.each([
  ['netlink: Error: cache initialization failed: Protocol not supported', 'guard-no-kernel', 'modprobe'],
  ['Unable to initialize Netlink socket: Protocol not supported', 'guard-no-kernel', 'modprobe'],
  ['Operation not permitted (you must be root)', 'guard-not-permitted', 'CAP_NET_ADMIN'],
  ['netlink: Error: cache initialization failed: Operation not permitted', 'guard-not-permitted', 'sudo'],
  ['/dev/stdin:3:1-5: Error: syntax error', 'guard-refused', 'syntax error'],
])('%s', async (said, code, advice) => {
  const nft = findNft([failing(said)]);
  const expected = expect.objectContaining({ code, message: expect.stringContaining(advice) });
  await expect(nft.load('x')).rejects.toEqual(expected);
  await expect(nft.table()).rejects.toEqual(expected);
});

test('a table that is not there is none, and no error', async () => {
  const nft = findNft([failing('Error: No such file or directory; did you mean table ‘x’ in family inet?')]);
  expect(await nft.table()).toBeUndefined();
  await expect(nft.load('x')).rejects.toMatchObject({ code: 'guard-refused' });
});

const canBeNobody = process.getuid?.() === 0 && spawnSync('sh', ['-c', 'command -v nft setpriv']).status === 0;

test.skipIf(!canBeNobody)('the real one says to an ordinary user that it may not', async () => {
  const path = join(folder, 'nft');
  const real = spawnSync('sh', ['-c', 'command -v nft'], { encoding: 'utf8' }).stdout.trim();
  writeFileSync(path, `#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups ${real} "$@"\n`);
  chmodSync(path, 0o755);
  await expect(findNft([folder]).table()).rejects.toMatchObject({ code: 'guard-not-permitted' });
});
