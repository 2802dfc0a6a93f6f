import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emptyState, mesh, service, tcp } from '../netmap/network.fixture.ts';
import { installedBinaries, type StartSources, startCommands } from './start-commands.ts';

const listening = { host: '127.0.0.1', port: 7400 };
const text = (sources: Partial<StartSources>): string => {
  const state = emptyState().current;
  const all = { listening, adminTokenPath: '/data/admin.token', state, binaries: undefined, ...sources };
  return startCommands(all)
    .commands.map(({ command }) => command)
    .join('\n');
};

test('they are for this control, whatever its folder is called', () => {
  expect(text({})).toContain('--control 127.0.0.1:7400 --admin-token-file /data/admin.token');
  expect(text({ adminTokenPath: "/it's $HOME/admin.token" })).toContain(`'/it'\\''s $HOME/admin.token'`);
  expect(text({ listening: { host: '0.0.0.0', port: 7500 } })).toContain('--control 127.0.0.1:7500 ');
  expect(text({ listening: { host: '::', port: 7500 } })).toContain(`--control '[::1]:7500' `);
});

test('they find weft where it is installed, and else leave it to PATH', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-start-'));
  const binaries = join(directory, 'node_modules', '.bin');
  mkdirSync(binaries, { recursive: true });
  expect(installedBinaries(join(directory, 'a', 'b'))).toBeUndefined();
  writeFileSync(join(binaries, 'weft'), '');
  expect(installedBinaries(join(directory, 'a', 'b'))).toBe(binaries);
  rmSync(directory, { recursive: true });
  expect(text({ binaries: '/opt/weft bin' })).toMatch(/^export PATH='\/opt\/weft bin':"\$PATH"\n/);
  expect(text({})).toMatch(/^weft apply /);
});

test('they replace no network that is in use', () => {
  const state = emptyState();
  expect(text({ state: state.current })).toContain('network: prod\n');
  state.apply(mesh({ services: [service('redis', 'private', tcp(6379))] }), { dryRun: false, actor: 'admin' });
  expect(text({ state: state.current })).toContain('network: prod-2\n');
  expect(text({ state: state.current })).toContain('--network prod-2 ');
});
