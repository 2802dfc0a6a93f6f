import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_RANGE } from '@weft/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetmapStore } from '../../netmap/store.ts';
import type { AgentStatus } from '../../observe/agent-status.ts';
import type { HostFacts } from '../../observe/host-facts.ts';
import { agentStatus } from '../local-agent.fixture.ts';
import { lookAtUnit } from './host.ts';

/** Where a systemctl stands that says what the test has it say, of any unit. */
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

function systemctl(says: Readonly<Record<string, string>>): void {
  const lines = Object.entries(says).map(([key, value]) => `${key}=${value}`);
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\ncat <<'END'\n${lines.join('\n')}\nEND\n`);
  chmodSync(join(bin, 'systemctl'), 0o755);
}

/** Of an agent in the unit, or one that is off. */
function known(unit?: string) {
  const process = { uid: 0, filesLimit: null, filesOpen: 0, lowestPort: null, unit: unit ?? '' };
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
  expect(await lookAtUnit(known(unit), bin)).toMatchObject([{ area: 'unit', result, message }]);
});

test('nothing is said where no systemd runs, or of an agent that is off and has no unit', async () => {
  systemctl({ LoadState: 'not-found' });
  expect(await lookAtUnit(known(), bin)).toEqual([]);
  systemctl(WELL);
  expect(await lookAtUnit(known('weft.service'), join(bin, 'nothing'))).toEqual([]);
});
