import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runPolicyTests } from '@weft/proto';
import { expect, test } from 'vitest';
import { readAgentFile } from './agent-file.ts';
import { readMeshFile } from './mesh-file.ts';

const directory = join(import.meta.dirname, '..', '..', '..', '..', 'examples');
const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml'));

test('there are examples of both files', () => {
  expect(files.filter((name) => name.startsWith('mesh')).length).toBeGreaterThan(0);
  expect(files.filter((name) => name.startsWith('weft')).length).toBeGreaterThan(0);
  expect(files.every((name) => /^(mesh|weft)/.test(name))).toBe(true);
});

test.each(files.filter((name) => name.startsWith('mesh')))('%s is a mesh whose tests pass', async (name) => {
  const { mesh } = await readMeshFile(join(directory, name));
  expect(mesh.tests.length).toBeGreaterThan(0);
  expect(runPolicyTests(mesh)).toEqual([]);
});

test.each(files.filter((name) => name.startsWith('weft')))('%s is an agent file', async (name) => {
  expect((await readAgentFile(join(directory, name))).services.size).toBeGreaterThan(0);
});
