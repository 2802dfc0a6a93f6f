/** What docs/API.md and the README say of the API over HTTP does what they say, line by line, at a real control. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Control, startControl } from '../../packages/control/src/serve.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-api-http-'));
const root = join(import.meta.dirname, '..', '..');
let control: Control;

beforeAll(async () => {
  const any = { host: '127.0.0.1', port: 0 };
  const options = { directory, listen: any, dashboard: any, advertise: [], logLevel: 'silent' };
  control = await startControl(options, { logger: pino({ level: 'silent' }), now: Date.now });
});
afterAll(async () => {
  await control.close();
  rmSync(directory, { recursive: true });
});

/** In control's data directory, one after the other; fails where one of them does. */
async function run(blocks: readonly string[]): Promise<string> {
  const script = blocks.join('\n').replaceAll('127.0.0.1:7480', control.dashboard ?? '');
  const { stdout } = await promisify(execFile)('bash', ['-eo', 'pipefail', '-c', script], { cwd: directory });
  return stdout;
}

function blocks(text: string): string[] {
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

test('docs/API.md, "Over HTTP"', async () => {
  const [, section = ''] = readFileSync(join(root, 'docs', 'API.md'), 'utf8').split('\n## Over HTTP\n');
  const [own = ''] = section.split('\n## ');
  const told = await run(blocks(own));
  expect(told).toContain('"token":"weft1.');
  expect(told).toContain('"result":{"revision":"3"');
  expect(told).toContain('"snapshot":true');
  expect(told).toContain('"code":"deadline_exceeded"');
});

test('README', async () => {
  const lines = blocks(readFileSync(join(root, 'README.md'), 'utf8')).filter((block) => block.includes('curl -sS '));
  expect(lines).toHaveLength(1);
  expect(await run(lines)).toContain('"version":');
});
