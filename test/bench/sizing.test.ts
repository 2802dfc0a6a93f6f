import { expect, test } from 'vitest';
import { workFigures } from './result.ts';
import { sizingTable } from './sizing.ts';
import type { Sample, Work } from './types.ts';

function measured(name: string, per: number, cpu: Sample['cpu']) {
  const work: Work = {
    name,
    title: name,
    unit: '',
    better: 'more',
    per: { label: '', amount: per },
    programs: [],
    servers: [],
    carriedBy: () => true,
    run: () => Promise.reject(new Error('not run here')),
  };
  return workFigures(new Map([[work, new Map([['weft', [{ round: 0, value: 1, amount: per, cpu }]]])]]))[0];
}

test('the cores of a load are its share of what the work cost each end', () => {
  const ends = { client: 2, server: 4 };
  const works = [
    measured('connect', 1e5, { own: 6, machine: 6, ends }),
    // A gigabyte cost 2 and 4 seconds, and a Gbit/s is an eighth of one in a second.
    measured('stream', 1e9, { own: 6, machine: 6, ends }),
    measured('dns', 1e5, { own: 2, machine: 2, ends: { client: 2, server: 0.001 } }),
    // What each end spent is not known of this one.
    measured('redis', 1e5, { own: 6, machine: 6 }),
  ].flatMap((work) => work ?? []);
  const cells = sizingTable(works)
    .slice(4, -1)
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .slice(2, 5),
    );
  expect(cells).toEqual([
    ['0.250', '0.500', '`stream`'],
    ['0.002', '0.004', '`connect`'],
    ['0.020', '–', '`dns`'],
  ]);
  expect(sizingTable([])).toEqual([]);
});
