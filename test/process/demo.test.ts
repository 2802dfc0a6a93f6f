/** The demo, as far as it fails: what it leaves behind. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('a demo that fails says why without a stack, and leaves nothing behind', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-demo-test-'));
  try {
    const main = join(import.meta.dirname, '..', '..', 'examples', 'demo', 'main.ts');
    // No agent comes up with it.
    const env = { ...process.env, TMPDIR: folder, WEFT_LOG_LEVEL: 'loud' };
    const { status, stderr } = spawnSync(process.execPath, [main, '--once'], { env, encoding: 'utf8' });
    expect(stderr).toMatch(/^demo: .*: exit \d/m);
    expect(stderr).not.toMatch(/^ {4}at .*main\.ts/m);
    expect(status).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
