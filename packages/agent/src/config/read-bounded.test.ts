import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { readBounded } from './read-bounded.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-read-'));
afterAll(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

function pipe(name: string): string {
  execFileSync('mkfifo', [at(name)]);
  return at(name);
}

test('a file is read whole, up to so many bytes, and one of more is not read at all', async () => {
  writeFileSync(at('whole'), 'x'.repeat(200_000));
  expect((await readBounded(at('whole'), 200_000)).toString()).toBe('x'.repeat(200_000));
  expect((await readBounded('/proc/self/comm', 100)).length).toBeGreaterThan(1);
  expect((await readBounded('/dev/null', 100)).length).toBe(0);
  truncateSync(at('whole'), 3 * 2 ** 40);
  await expect(readBounded(at('whole'), 100)).rejects.toThrow(`is ${3 * 2 ** 40} bytes long; at most 100 are read`);
});

test('what has no end is given up behind so many bytes', async () => {
  await expect(readBounded('/dev/zero', 1_000_000)).rejects.toThrow('is more than 1000000 bytes long');
});

test('pipes are waited for until somebody writes, by none of the threads that others need', async () => {
  const pipes = Array.from({ length: 8 }, (_, index) => pipe(`pipe${index}`));
  const read = pipes.map((name) => readBounded(name, 100));
  writeFileSync(at('beside'), 'beside');
  expect(await readFile(at('beside'), 'utf8')).toBe('beside');
  await Promise.all(pipes.slice(1).map((name, index) => writeFile(name, `${index}`)));
  const [first = ''] = pipes;
  const writer = await open(first, 'w');
  await writer.write('in ');
  await writer.write('parts');
  await writer.close();
  const texts = (await Promise.all(read)).map(String);
  expect(texts).toEqual(['in parts', '0', '1', '2', '3', '4', '5', '6']);
});

test('a pipe that nobody writes to is given up, and so is one whose writer does not come to an end', async () => {
  const silent = pipe('silent');
  await expect(readBounded(silent, 100, 50)).rejects.toThrow('cannot be read: it did not come within 0.05 s');
  const begun = pipe('begun');
  const read = readBounded(begun, 100, 60_000, 300);
  const failed = expect(read).rejects.toThrow('it did not come within 0.3 s');
  const writer = await open(begun, 'w');
  await writer.write('a part');
  await failed;
  await writer.close();
});

test('a pipe whose writer says nothing is empty, and one that says it byte by byte takes no more memory than that', async () => {
  const empty = pipe('empty');
  const none = readBounded(empty, 100);
  const writer = await open(empty, 'w');
  await setTimeout(100);
  await writer.close();
  expect((await none).length).toBe(0);
  const drip = pipe('drip');
  const read = readBounded(drip, 1_000_000);
  const other = await open(drip, 'w');
  const before = process.memoryUsage().arrayBuffers;
  for (let byte = 0; byte < 2_000; byte++) await other.write('x');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  await other.close();
  expect((await read).toString()).toBe('x'.repeat(2_000));
});

test('what the system says is told', async () => {
  await expect(readBounded(at('none'), 1)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(readBounded(directory, 1)).rejects.toMatchObject({ code: 'EISDIR' });
});
