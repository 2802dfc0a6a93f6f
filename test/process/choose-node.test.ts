/** A checkout whose Node does not start, as where libatomic is missing, runs on the other that it has. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkout } from '../harness/host.ts';
import { run } from '../harness/process.ts';

const STARTS = '#!/bin/sh\necho v24.21.0\n';
const BROKEN = '#!/bin/sh\necho no libatomic.so.1 >&2\nexit 127\n';
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-choose-'));
  mkdirSync(join(dir, 'test/runtimes'), { recursive: true });
  cpSync(join(checkout, 'test/runtimes/choose.mjs'), join(dir, 'test/runtimes/choose.mjs'));
});

afterEach(() => rmSync(dir, { recursive: true }));

function put(path: string, script: string): void {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), script);
  chmodSync(join(dir, path), 0o755);
}

const choose = () => run([process.execPath, join(dir, 'test/runtimes/choose.mjs')], { timeoutMs: 30_000 });
const runsNow = async () => (await run([join(dir, 'node_modules/.bin/node')], { timeoutMs: 30_000 })).stdout;

test('one that starts stays, and nothing is said', async () => {
  put('node_modules/.bin/node', STARTS.replace('24.21.0', '26.12.1'));
  put('test/runtimes/node_modules/node-24-newest/bin/node', STARTS);
  expect(await choose()).toMatchObject({ code: 0, stderr: '' });
  expect(await runsNow()).toBe('v26.12.1\n');
});

test('one that does not is replaced, where packages take theirs from too, and why is said', async () => {
  put('node_modules/.bin/node', BROKEN);
  put('test/runtimes/node_modules/node-24-newest/bin/node', STARTS);
  const { code, stderr } = await choose();
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('no libatomic.so.1') });
  expect(await runsNow()).toBe('v24.21.0\n');
  expect(existsSync(join(dir, `node_modules/node-linux-${process.arch}/bin/node`))).toBe(true);
});

test('a checkout that is reached by a link is as any', async () => {
  put('node_modules/.bin/node', BROKEN);
  put('test/runtimes/node_modules/node-24-newest/bin/node', STARTS);
  const link = `${dir}-link`;
  symlinkSync(dir, link);
  try {
    const script = join(link, 'test/runtimes/choose.mjs');
    expect(await run([process.execPath, script], { timeoutMs: 30_000 })).toMatchObject({ code: 0 });
    expect(await runsNow()).toBe('v24.21.0\n');
  } finally {
    rmSync(link);
  }
});

test('where there is none that starts, it ends and says what to install', async () => {
  put('node_modules/.bin/node', BROKEN);
  expect(await choose()).toMatchObject({ code: 1, stderr: expect.stringContaining("Debian's libatomic1") });
});
