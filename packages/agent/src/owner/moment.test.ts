import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Holders } from './holders.ts';
import { type Moment, Moments } from './moment.ts';
import { Processes } from './processes.ts';

const proc = mkdtempSync(join(tmpdir(), 'weft-moment-'));
afterEach(() => rmSync(proc, { recursive: true, force: true }));

const own = { uid: process.getuid?.() ?? 0, group: () => undefined };

/** Of root's, one after the other; each has one socket, of its own number. */
function begin(...pids: readonly number[]): void {
  for (const pid of pids) {
    mkdirSync(join(proc, `${pid}`, 'fd'), { recursive: true });
    writeFileSync(join(proc, `${pid}`, 'status'), `Name:\tx\nTgid:\t${pid}\nUid:\t0\t0\t0\t0\nVmSize:\t1 kB\n`);
    symlinkSync(`socket:[${pid}]`, join(proc, `${pid}`, 'fd', '3'));
  }
  writeFileSync(join(proc, 'loadavg'), `0.00 0.00 0.00 1/100 ${pids.at(-1)}\n`);
}

/** Who is looked at beside the holder of a socket, where no more than four are. */
function looked(holders: Holders, moment?: Moment, kin: readonly number[] = []): readonly number[] {
  const pids: number[] = [];
  const look = (pid: number) => {
    pids.push(pid);
    return false;
  };
  const held = new Map([['15', [{ pid: 11, file: '3' }]]]);
  holders.strangers(held, own, kin, look, { most: 0, ...(moment && { moment }) });
  return pids;
}

it('has each look of a moment at all who began since the last, and those that one did not come to in the next', () => {
  begin(9, 10, 11);
  const holders = new Holders(proc);
  looked(holders);
  begin(21, 22, 23, 24, 25, 26, 27, 28, 29);
  const moment = holders.moment(2);
  for (let service = 0; service < 2; service++) expect(looked(holders, moment)).toEqual([29, 28, 27, 26]);
  const next = holders.moment(2);
  expect(looked(holders, next)).toEqual([25, 24, 23, 22]);
  expect(looked(holders, next, [9, 10])).toEqual([9, 10, 25, 24]);
  expect(looked(holders).slice(0, 3)).toEqual([23, 22, 21]);
  // By then each of them was passed: the newest of all come next.
  begin(30);
  expect(looked(holders).slice(0, 2)).toEqual([30, 29]);
});

it('finds all who called since the last moment at once, of several that are asked about together', () => {
  begin(11);
  const holders = new Holders(proc);
  holders.quick(new Set(['11']), own);
  begin(21, 22);
  const moment = holders.moment(2);
  for (const inode of ['21', '22'])
    expect(holders.quick(new Set([inode]), own, { moment }).get(inode)).toEqual([{ pid: Number(inode), file: '3' }]);
  // Also where they were met in a moment that did not come to them.
  begin(31, 32);
  expect(holders.quick(new Set(['32']), own).get('32')).toHaveLength(1);
  expect(holders.quick(new Set(['31']), own).get('31')).toHaveLength(1);
});

it('keeps whom a walk has found for the next moment', () => {
  begin(11);
  const holders = new Holders(proc);
  looked(holders);
  begin(21, 22, 23, 24, 25);
  const walk = holders.walk(new Set(['0']), own);
  while (!walk.next().done);
  expect(looked(holders)).toEqual([25, 24, 23, 22]);
});

it('keeps no more than may be', () => {
  begin(11);
  const moments = new Moments(new Processes(proc));
  const begun = (first: number) => Array.from({ length: 200 }, (_, at) => first - at);
  moments.keep(begun(1_200));
  moments.keep(begun(1_400));
  const { kept, unreached } = moments.begin(1, 0);
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([256, 1_400, 1_145]);
  expect(unreached).toEqual(kept);
});

it('gives each look of a moment its part of the time that is left', () => {
  begin(11);
  const moments = new Moments(new Processes(proc));
  const first = moments.begin(2, 1_000);
  expect(first.begin(1_000)).toBeCloseTo(1_012.5);
  // What it does not take is the next one's.
  first.end(1_005);
  expect(first.begin(1_010)).toBeCloseTo(1_030);
  first.end(1_100);
  expect(first.begin(1_100)).toBeCloseTo(1_100);
  // A twentieth of what has passed since.
  const next = moments.begin(3, 1_300);
  next.divide(2);
  expect(next.begin(1_300)).toBeCloseTo(1_302.5);
  next.end(1_302);
  next.divide(0);
  expect(next.begin(1_302)).toBeCloseTo(1_306);
  // One that nobody has looked in takes nothing of it.
  moments.begin(1, 1_400);
  expect(moments.begin(1, 1_500).begin(1_500)).toBeCloseTo(1_509.9);
});
