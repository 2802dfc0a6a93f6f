import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_RANGE, homeOf } from '@weft/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetmapStore } from '../../netmap/store.ts';
import type { AgentStatus } from '../../observe/agent-status.ts';
import type { HostFacts } from '../../observe/host-facts.ts';
import { agentStatus } from '../local-agent.fixture.ts';
import { lookAtUnit } from './unit.ts';

/** Where a systemctl stands that says what the test has it say, of any unit, by either systemd. */
let bin: string;
const path = process.env.PATH;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'weft-unit-'));
  process.env.PATH = `${bin}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(bin, { recursive: true });
});

/** `user`: it is one of a user's systemd, or of the host's; of both where it is undefined. */
function systemctl(says: Readonly<Record<string, string>>, user?: boolean): void {
  const lines = Object.entries(says).map(([key, value]) => `${key}=${value}`);
  const other = user === undefined ? '' : `[ "$1" = ${user ? 'show' : '--user'} ] && exit 1\n`;
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\n${other}cat <<'END'\n${lines.join('\n')}\nEND\n`);
  chmodSync(join(bin, 'systemctl'), 0o755);
}

/** Of an agent in the unit, or one that is off. */
function known(unit?: string, userUnit = false) {
  const process = { uid: 0, filesLimit: null, filesOpen: 0, lowestPort: null, unit: unit ?? '', userUnit };
  const facts: HostFacts = { process, filesNeeded: 128, peers: [], targets: [] };
  const running = unit === undefined ? undefined : { agent: agentStatus() as AgentStatus, facts };
  const kept = new NetmapStore(CONTROL_RANGE, undefined, 0, []);
  return {
    agent: undefined,
    facts: undefined,
    ...running,
    directory: bin,
    unasked: '',
    unread: '',
    identity: undefined,
    kept,
  };
}

const WELL = { LoadState: 'loaded', ActiveState: 'active', UnitFileState: 'enabled', NRestarts: '0' };

test.each([
  ['in a unit that is well', 'weft.service', WELL, 'ok', 'is active, and started at boot'],
  [
    'started again and again',
    'weft.service',
    { ...WELL, NRestarts: '7' },
    'ok',
    'is active, and started at boot, and was started again 7 times',
  ],
  [
    'in a unit that no boot starts',
    'weft.service',
    { ...WELL, UnitFileState: 'disabled' },
    'hint',
    'is not started at boot',
  ],
  ["in a unit of a user's own systemd", 'mine.service', { LoadState: 'not-found' }, 'ok', 'the agent runs in it'],
  ['in no unit', '', WELL, 'hint', 'the agent runs in no unit of systemd: nobody starts it after a crash or a boot'],
  ['off, with a unit', undefined, { ...WELL, ActiveState: 'inactive' }, 'hint', 'is there, and off'],
  ['off, and its unit failed', undefined, { ...WELL, ActiveState: 'failed' }, 'broken', 'has failed'],
])('%s', async (_, unit, says, result, message) => {
  systemctl(says);
  expect(await lookAtUnit(known(unit), { running: bin })).toMatchObject([{ area: 'unit', result, message }]);
});

test('nothing is said where no systemd runs, or of an agent that is off and has no unit', async () => {
  systemctl({ LoadState: 'not-found' });
  expect(await lookAtUnit(known(), { running: bin })).toEqual([]);
  systemctl(WELL);
  expect(await lookAtUnit(known('weft.service'), { running: join(bin, 'nothing') })).toEqual([]);
});

test("a user's systemd is asked of a user's unit, and of an agent that is off in a user's home", async () => {
  const disabled = { ...WELL, UnitFileState: 'disabled' };
  systemctl(disabled, true);
  const remedy = 'systemctl --user enable weft.service';
  expect(await lookAtUnit(known('weft.service', true), { running: bin, uid: 0 })).toMatchObject([
    { result: 'hint', remedy },
  ]);
  expect(await lookAtUnit(known(), { running: bin, uid: 1_000 })).toMatchObject([{ result: 'hint', remedy }]);
  expect(await lookAtUnit(known(), { running: bin, uid: 0 })).toEqual([]);
  const others = await lookAtUnit(known('weft.service', true), { running: bin, uid: 1_000 });
  expect(others).toMatchObject([{ result: 'ok', message: 'the agent runs in it, a unit of user 0' }]);

  systemctl(disabled, false);
  const atHome = { ...known(), directory: join(homeOf(process.env) ?? '', 'weft') };
  expect(await lookAtUnit(atHome, { running: bin, uid: 1_000 })).toEqual([]);
  expect(await lookAtUnit(known(), { running: bin, uid: 1_000 })).toMatchObject([
    { remedy: 'systemctl enable weft.service' },
  ]);
});
