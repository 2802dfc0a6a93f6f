import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout } from '../harness/host.ts';

function mutate(...given: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/mutate/main.ts', ...given], {
    cwd: checkout,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

describe('npm run mutate', () => {
  test.each([
    ['nothing', []],
    ['what is not there', ['packages/agent/src/nowhere']],
    ['two folders', ['packages/agent/src/dns', 'packages/agent/src/bytes']],
    ['no time', ['packages/agent/src/dns', '--minutes', '0']],
    ['a time that is none', ['packages/agent/src/dns', '--minutes', 'soon']],
    ['another option', ['packages/agent/src/dns', '--fast']],
  ])('says how it is used when given %s, and changes nothing', (_what, given) => {
    const { status, stdout, stderr } = mutate(...given);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/Usage: npm run mutate|Unknown option/);
  });

  test('prints what no test fails on, and counts it', () => {
    const folder = join('test', 'mutate', 'sample');
    const { status, stdout } = mutate(folder, '--minutes', '1');
    expect(stdout).toMatch(
      /survived test\/mutate\/sample\/sum\.ts:3 \(ConditionalExpression\)\n {2}- a < 0\n {2}\+ false\n/,
    );
    expect(stdout).toMatch(/no test {2}test\/mutate\/sample\/sum\.ts:8\n/);
    expect(stdout).toMatch(/\n\d+ of \d+ survived\n$/);
    expect(status).toBe(1);
  }, 90_000);
});
