import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeGuardFile } from '../../guard/guard-file.ts';
import { wishNow } from './wish.ts';

const { signal } = new AbortController();
const redis = { service: 'redis', protocol: 'tcp', address: '0.0.0.0', port: 6379 } as const;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-wish-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('without an agent it is what the agent kept, and where it kept nothing, nothing is wanted', async () => {
  await expect(wishNow(directory, {}, signal)).rejects.toMatchObject({ code: 'nothing-to-ask' });
  await writeGuardFile(directory, { places: [redis], range: '100.80.0.0/12' });
  expect(await wishNow(directory, {}, signal)).toMatchObject({ wanted: true, places: [redis] });
});

test.each(['', '{', '{"version":2}'])('what cannot be read is not taken for nothing: %j', async (text) => {
  writeFileSync(join(directory, 'guard.json'), text, { mode: 0o600 });
  await expect(wishNow(directory, {}, signal)).rejects.toMatchObject({ code: 'guard-unreadable' });
});
