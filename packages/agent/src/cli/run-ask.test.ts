/** Whom `weft run` takes for the agent of its host. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findAgent } from './run-ask.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-ask-'));
const servers: Server[] = [];
afterAll(async () => {
  for (const server of servers) server.close();
  await rm(directory, { recursive: true, force: true });
});

async function listening(name: string, mode: number): Promise<string> {
  const folder = join(directory, name);
  mkdirSync(folder);
  const path = join(folder, 'run.sock');
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
  chmodSync(folder, mode);
  return path;
}

const find = (runSocket: string) => findAgent({ service: 'web', runSocket }, { env: {} });
const refused = { code: 'agent-not-trusted' };

test('an agent is who listens in a directory that only its owner may write', async () => {
  const path = await listening('own', 0o755);
  expect(await find(path)).toBe(path);
});

test.each([
  ['all', 0o777],
  ['a group', 0o775],
])('nobody is where %s may write', async (name, mode) => {
  await expect(find(await listening(name, mode))).rejects.toMatchObject(refused);
});

test('in a sticky directory one of root or of the caller is', async () => {
  const path = await listening('sticky', 0o1777);
  expect(await find(path)).toBe(path);
});

test('what is no socket is none', async () => {
  const path = join(directory, 'file');
  writeFileSync(path, '');
  await expect(find(path)).rejects.toMatchObject({ code: 'nothing-to-ask' });
});

test.skipIf(process.getuid?.() !== 0)("another user's is none, but in that user's own directory", async () => {
  const sticky = await listening('sticky-other', 0o1777);
  chownSync(sticky, 64_001, 64_001);
  await expect(find(sticky)).rejects.toMatchObject(refused);
  const foreign = await listening('foreign', 0o755);
  chownSync(foreign, 64_001, 64_001);
  await expect(find(foreign)).rejects.toMatchObject(refused);
  chownSync(join(directory, 'foreign'), 64_001, 64_001);
  expect(await find(foreign)).toBe(foreign);
});
