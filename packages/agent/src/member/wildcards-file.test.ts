import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSeenWildcards } from './wildcards-file.ts';

const log = pino({ level: 'silent' });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-wildcards-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('keeps the ports over a restart, for the owner alone, and forgets what was seen otherwise', async () => {
  const seen = await openSeenWildcards(directory, log);
  for (const port of ['1/tcp', '2/udp', '3/tcp']) seen.note(port, true, 5);
  seen.note('3/tcp', false, 6);
  await expect.poll(async () => (await openSeenWildcards(directory, log)).seenMs('2/udp')).toBe(-Infinity);
  const kept = await openSeenWildcards(directory, log);
  expect(['1/tcp', '2/udp', '3/tcp'].map((port) => kept.seenMs(port))).toEqual([-Infinity, -Infinity, undefined]);
  expect((await stat(join(directory, 'wildcards.json'))).mode & 0o777).toBe(0o600);
});

it('starts with nothing where the file is damaged', async () => {
  await writeFile(join(directory, 'wildcards.json'), '{"version":1,"ports":["x"]}');
  expect((await openSeenWildcards(directory, log)).seenMs('x')).toBeUndefined();
});
