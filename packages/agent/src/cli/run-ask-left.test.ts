/** Who is asked for a sandbox, and what is said where nobody answers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toWord, type Wanted } from '../sandbox/lines.ts';
import { askForSandbox, findAgent } from './run-ask.ts';

const { signal } = new AbortController();
const wanted: Wanted = { service: 'web', egress: undefined, ports: new Map() };
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-ask-'));
  path = join(directory, 'run.sock');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** As an agent that was killed leaves it. */
async function leaveSocket(): Promise<void> {
  const listen = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`;
  const killed = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
}

test('a socket that a killed agent left is told as that', async () => {
  await leaveSocket();
  expect(await findAgent({ service: 'web', data: directory }, { env: {} })).toBe(path);
  await expect(askForSandbox(path, wanted, signal)).rejects.toMatchObject({
    code: 'nothing-to-ask',
    message: expect.stringMatching(/ECONNREFUSED.*was killed.*weft up/),
  });
});

test('one that comes back in time answers', async () => {
  await leaveSocket();
  const asked = askForSandbox(path, wanted, signal);
  rmSync(path);
  const answer = { range: '127.80.0.0/12', hide: [], network: 'prod', host: 'h', services: [], ports: [] };
  const server = createServer((socket) => socket.end(`granted ${toWord(JSON.stringify(answer))}\n`)).listen(path);
  expect(await asked).toEqual(answer);
  server.close();
});

test('where there is none, both places are named', async () => {
  await expect(findAgent({ service: 'web' }, { env: { HOME: directory } })).rejects.toMatchObject({
    code: 'nothing-to-ask',
    message: expect.stringMatching(/run\.sock or \/run\/weft\/run\.sock .*weft up/),
  });
});
