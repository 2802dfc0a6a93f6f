import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRange } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServicePlace } from '../inbound/exposure.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { HostGuard } from './host-guard.ts';

const log = pino({ level: 'silent' });
const range = parseRange('100.80.0.0/12') ?? { base: 0, size: 0 };
const redis: ServicePlace = { service: 'redis', protocol: 'tcp', address: '0.0.0.0', port: 6379 };
const late: ServicePlace = { service: 'late', protocol: 'udp', address: '::', port: 7001 };

let directory: string;
let now: number;
let places: readonly ServicePlace[];
const life = new AbortController();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-guard-'));
  now = 0;
  places = [redis];
});
afterEach(() => rmSync(directory, { recursive: true }));

async function open() {
  const problems = new ProblemBoard(log);
  const guard = await HostGuard.open({ directory, range, problems, logger: log, signal: life.signal, now: () => now });
  const before = guard.before;
  guard.follow(() => places);
  const ask = (told: object) => guard.answer({ ask: 'guard', ...told });
  const codes = () => {
    guard.look();
    return problems.current.map(({ code }) => code);
  };
  return { guard, before, ask, codes };
}

const file = () => join(directory, 'guard.json');
const kept = () => JSON.parse(readFileSync(file(), 'utf8')).places;

test('the wish is on disk before it is answered, for its owner alone, and gone with it', async () => {
  const { ask } = await open();
  expect(await ask({})).toMatchObject({ wanted: false, places: [redis], range: '100.80.0.0/12', kept: false });
  expect(await ask({ want: true })).toMatchObject({ wanted: true });
  expect(kept()).toEqual([redis]);
  const user = process.getuid?.();
  expect([(await ask({})).user, JSON.parse(readFileSync(file(), 'utf8')).user]).toEqual([user, user]);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const next = await open();
  expect(next.before).toEqual([redis]);
  expect(await next.ask({ want: false })).toMatchObject({ wanted: false });
  expect(() => statSync(file())).toThrow('ENOENT');
});

test('what it is told to be closed is closed, for as long as it is told so', async () => {
  const { guard, ask, codes } = await open();
  const { number } = await ask({ want: true });
  expect(guard.isClosed(redis)).toBe(false);
  await ask({ closed: number, keeps: true });
  expect([guard.isClosed(redis), guard.isClosed(late)]).toEqual([true, false]);
  // What comes is not closed by a word about what was.
  places = [redis, late];
  const next = await ask({ closed: number, keeps: true });
  expect(next.number).not.toBe(number);
  expect(guard.isClosed(late)).toBe(false);
  await ask({ closed: next.number, keeps: true });
  expect(guard.isClosed(late)).toBe(true);
  now = 9_999;
  expect([guard.isClosed(redis), codes()]).toEqual([true, []]);
  now = 10_000;
  expect([guard.isClosed(redis), codes()]).toEqual([false, ['guard-not-kept']]);
  await ask({ closed: next.number, keeps: true });
  expect([guard.isClosed(redis), codes()]).toEqual([true, []]);
});

test('a number that it did not give closes nothing, and nothing is closed once the guard is off', async () => {
  const { guard, ask } = await open();
  const { number } = await ask({ want: true });
  await ask({ closed: 'ffffffffffffffff', keeps: true });
  expect(guard.isClosed(redis)).toBe(false);
  await ask({ want: false });
  await ask({ closed: number, keeps: true });
  expect(guard.isClosed(redis)).toBe(false);
});

test('what changes is kept for the next start of the host', async () => {
  const { ask } = await open();
  await ask({ want: true });
  places = [redis, late];
  await ask({ keeps: true });
  await expect.poll(kept).toEqual([redis, late]);
});

test.each([
  '',
  '{',
  '{"version":1,"places":[{"service":"a","protocol":"tcp","address":"1.2.3.4; drop","port":1}],"range":"x"}',
])('a file that cannot be read leaves the guard on, and is written anew: %j', async (text) => {
  writeFileSync(file(), text);
  const { ask, before } = await open();
  expect(before).toEqual([]);
  expect(await ask({})).toMatchObject({ wanted: true, places: [redis] });
  await expect.poll(kept).toEqual([redis]);
});

test('what changed while the agent was off is kept at once', async () => {
  const { ask } = await open();
  await ask({ want: true });
  places = [redis, late];
  const next = await open();
  await next.ask({});
  await expect.poll(kept).toEqual([redis, late]);
});

test('what cannot be written is told, and written once it can be', async () => {
  const { ask, codes } = await open();
  await ask({ want: true });
  // No file can be made where a directory has its name, whoever asks.
  rmSync(file());
  mkdirSync(join(file(), 'taken'), { recursive: true });
  places = [redis, late];
  await ask({ keeps: true });
  await expect.poll(codes).toContain('guard-not-written');
  await ask({ keeps: true });
  expect(codes()).toContain('guard-not-written');
  rmSync(file(), { recursive: true });
  await expect
    .poll(async () => {
      await ask({ keeps: true });
      return codes();
    })
    .not.toContain('guard-not-written');
  expect(kept()).toEqual([redis, late]);
});
