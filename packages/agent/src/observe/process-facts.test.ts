import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { processFacts } from './process-facts.ts';

let proc = '';
afterEach(() => rmSync(proc, { recursive: true, force: true }));

/** As the kernel shows it. */
function shown(files: Readonly<Record<string, string>>): string {
  proc = mkdtempSync(join(tmpdir(), 'weft-proc-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(proc, name)), { recursive: true });
    writeFileSync(join(proc, name), text);
  }
  return proc;
}

const START = 'sys/net/ipv4/ip_unprivileged_port_start';
const status = (effective: string) =>
  `Name:\tnode\nCapPrm:\t${effective}\nCapEff:\t${effective}\nCapBnd:\t000001ffffffffff\n`;

test.each([
  ['0000000000000000', '1024\n', 1_024],
  ['0000000000000000', '53\n', 53],
  ['0000000000000400', '1024\n', 1],
  ['000001fffffffbff', '1024\n', 1_024],
  ['000001ffffffffff', '1024\n', 1],
])('with capabilities %s, and ports free from %s on', (effective, start, lowest) => {
  expect(processFacts(shown({ 'self/status': status(effective), [START]: start })).lowestPort).toBe(lowest);
});

test.each([
  ['0::/system.slice/weft.service\n', 'weft.service', false],
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/weft.service\n', 'weft.service', true],
  ['0::/user.slice/user-1000.slice/session-3.scope\n', '', false],
  ['12:cpu:/system.slice/weft.service\n11:memory:/\n', 'weft.service', false],
  ['0::/\n', '', false],
])('in the cgroup %s', (cgroup, unit, userUnit) => {
  expect(processFacts(shown({ 'self/cgroup': cgroup }))).toMatchObject({ unit, userUnit });
});

test('where the kernel shows nothing', () => {
  expect(processFacts(shown({}))).toMatchObject({ filesOpen: 0, lowestPort: null, unit: '' });
});
