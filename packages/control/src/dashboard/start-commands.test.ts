import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { emptyState, joinHost, mesh, service, tcp } from '../netmap/network.fixture.ts';
import type { StateStore } from '../state/types.ts';
import { installedBinaries, type StartSources, startCommands } from './start-commands.ts';

const listening = { host: '127.0.0.1', port: 7400 };
const sources = ({ current: state }: StateStore): StartSources => ({
  listening,
  adminTokenPath: '/data/admin.token',
  state,
  binaries: undefined,
});
const text = async (changes: Partial<StartSources>): Promise<string> => {
  const state = (await emptyState()).current;
  const all = { listening, adminTokenPath: '/data/admin.token', state, binaries: undefined, ...changes };
  return startCommands(all)
    .networks.flatMap(({ commands }) => commands.map(({ command }) => command))
    .join('\n');
};

test('they are for this control, whatever its folder is called', async () => {
  expect(await text({})).toContain('--control 127.0.0.1:7400 --admin-token-file /data/admin.token');
  expect(await text({ adminTokenPath: "/it's $HOME/admin.token" })).toContain(`'/it'\\''s $HOME/admin.token'`);
  expect(await text({ listening: { host: '0.0.0.0', port: 7500 } })).toContain('--control 127.0.0.1:7500 ');
  expect(await text({ listening: { host: '::', port: 7500 } })).toContain(`--control '[::1]:7500' `);
});

test('they find weft where it is installed, and else leave it to PATH', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-start-'));
  const binaries = join(directory, 'node_modules', '.bin');
  mkdirSync(binaries, { recursive: true });
  expect(installedBinaries(join(directory, 'a', 'b'))).toBeUndefined();
  writeFileSync(join(binaries, 'weft'), '');
  expect(installedBinaries(join(directory, 'a', 'b'))).toBe(binaries);
  rmSync(directory, { recursive: true });
  expect(await text({ binaries: '/opt/weft bin' })).toMatch(/^export PATH='\/opt\/weft bin':"\$PATH"\n/);
  expect(await text({})).toMatch(/^weft apply /);
});

describe('taken anew after each step', () => {
  const change = { dryRun: false, actor: 'admin' };

  test('they stay in the network that the first one made', async () => {
    const state = await emptyState();
    const first = startCommands(sources(state)).networks;
    expect(first).toMatchObject([{ name: 'prod', service: 'hello' }]);
    expect(first[0]?.commands.length).toBe(3);
    await state.apply(mesh({ services: [service('hello', 'private', tcp(8765))] }), change);
    const [second, ...others] = startCommands(sources(state)).networks;
    expect(others).toEqual([]);
    expect(second).toEqual({ ...first[0], commands: first[0]?.commands.slice(1) });
    await joinHost(state, 'prod', { host: 'one', services: ['hello'] });
    expect(startCommands(sources(state)).networks).toEqual([]);
  });

  test('they find weft again: the shell may be another', async () => {
    const state = await emptyState();
    await state.apply(mesh({ services: [service('hello', 'private', tcp(8765))] }), change);
    expect(await text({ state: state.current, binaries: '/opt/weft' })).toMatch(
      /^export PATH=\/opt\/weft:"\$PATH"\n\(umask/,
    );
  });

  test('they replace no mesh of somebody: they let its own services be run', async () => {
    const state = await emptyState();
    const ports = [...tcp(6379), { protocol: 'udp', first: 53, last: 53 } as const];
    await state.apply(mesh({ services: [service('mailer', 'worker'), service('redis', 'private', ports)] }), change);
    const told = await text({ state: state.current });
    expect(told).not.toContain('weft apply');
    expect(told).toContain('--network prod --services mailer,redis > redis.token)');
    expect(told).toContain('redis: { targets: { 6379: "127.0.0.1:6379", 53/udp: "127.0.0.1:53" } }');
    expect(told).toContain('weft up --join-file redis.token --config redis.agent.yaml');
  });

  test('an empty network is given the example, under its own name', async () => {
    const state = await emptyState();
    await state.apply(mesh({ network: 'blue' }), change);
    expect(await text({ state: state.current })).toContain('network: blue\n');
  });

  test('of a great many services the token is for one', async () => {
    const state = await emptyState();
    const services = Array.from({ length: 30 }, (_, index) => service(`app-${index}`, 'private', tcp(1_000 + index)));
    await state.apply(mesh({ services }), change);
    expect(await text({ state: state.current })).toMatch(/--services app-\d+ > /);
  });
});
