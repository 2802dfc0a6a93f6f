import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { programOf, requireProgram } from '../../words/program.ts';
import { threadProgram } from './program.ts';

/** A built checkout, and what was written at which second. */
function checkout() {
  const root = mkdtempSync('/tmp/weft-program-');
  onTestFinished(() => rmSync(root, { recursive: true }));
  const write = (path: string, second: number) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
    utimesSync(file, second, second);
  };
  return { write, here: pathToFileURL(join(root, 'agent/dist/run/workers/program.js')).href };
}

const COMPILED = ['agent/dist/.tsbuildinfo', 'proto/dist/.tsbuildinfo'];

test('a built checkout runs what is bundled, unless that is missing or older than what was compiled since, which is told', () => {
  const { write, here } = checkout();
  const chosen = () => {
    const { entry, unbundled } = threadProgram(here);
    return [fileURLToPath(entry).split('/agent/dist/')[1], unbundled];
  };
  for (const path of COMPILED) write(path, 1_000);
  expect(chosen()).toEqual([
    'run/workers/entry.js',
    expect.stringMatching(/entry\.mjs is missing; run npm run build$/),
  ]);
  write('agent/dist/bundled/entry.mjs', 1_001);
  expect(chosen()).toEqual(['bundled/entry.mjs', '']);
  for (const path of COMPILED) {
    write(path, 1_002);
    expect(chosen()).toEqual(['run/workers/entry.js', expect.stringContaining('is older than what is compiled')]);
    write(path, 1_000);
  }
});

test('a thread whose files were compiled anew meanwhile is of another program', () => {
  const { write, here } = checkout();
  for (const path of COMPILED) write(path, 1_000);
  const { id } = threadProgram(here);
  const there = new URL('../../words/program.js', here).href;
  requireProgram(id, there);
  write('proto/dist/.tsbuildinfo', 1_001);
  expect(() => requireProgram(id, there)).toThrow('it was replaced; restart the agent');
  expect(() => requireProgram(undefined, there)).toThrow('it was replaced');
  const bundled = new URL('./entry.mjs', here).href;
  requireProgram(programOf(bundled), bundled);
});
