import { describe, expect, test } from 'vitest';
import { renderReport } from './report.ts';
import { failuresOf, type Runs, type Tried, targetFigures, workFigures } from './result.ts';
import { reached, type Target } from './targets.ts';
import type { Work } from './types.ts';

const work: Work = {
  name: 'haul',
  title: 'a haul',
  unit: 'Mbit/s',
  better: 'more',
  per: { label: 'GB', amount: 1e9 },
  programs: [],
  servers: [],
  carriedBy: () => true,
  run: () => Promise.reject(new Error('not run here')),
};

/** Value, amount in GB, own CPU seconds. */
function tries(...samples: readonly (readonly [number, number, number])[]): readonly Tried[] {
  return samples.map(([value, amount, own], round) => {
    return {
      round,
      value,
      amount: amount * 1e9,
      cpu: {
        own,
        machine: 2 * own,
        ends: { client: own / 4, server: own / 2 },
        resident: { client: 80, server: 90 + round },
      },
    };
  });
}

const runs: Runs = new Map([
  [
    work,
    new Map([
      ['direct', tries([9_000, 1, 0], [9_000, 1, 0], [9_000, 1, 0])],
      ['weft', tries([3_000, 2, 4], [1_000, 1, 3], [2_000, 1, 1])],
      ['weft-observed', tries([2_500, 1, 2])],
      [
        'other',
        [
          ...tries([1_000, 1, 4], [500, 1, 1]).map((one) => ({ ...one, beside: { 'p50, ms': 2 + one.round } })),
          { round: 2, error: 'it went away' },
        ],
      ],
    ]),
  ],
]);

const targets: readonly Target[] = [
  { work: 'haul', peer: 'other', figure: 'value', bound: 'at least', ratio: 2.5 },
  { work: 'haul', peer: 'other', figure: 'cpu', bound: 'at most', ratio: 0.9 },
  { work: 'haul', peer: 'absent', figure: 'value', bound: 'at least', ratio: 1 },
  { work: 'not run', peer: 'other', figure: 'value', bound: 'at least', ratio: 1 },
];

describe('figures', () => {
  const figures = workFigures(runs);
  const [direct, weft, , other] = figures[0]?.peers ?? [];

  test('are medians, and ratios of the rounds that both have', () => {
    expect(weft).toMatchObject({ peer: 'weft', median: 2_000, ratio: undefined, ownCpu: 2, machineCpu: 4 });
    expect(other).toMatchObject({ median: 750, ratio: 2.5, ownCpu: 2.5, cpuRatio: 1.75, beside: { 'p50, ms': 2.5 } });
  });

  test('a path without processes has no CPU of its own', () => {
    expect(direct).toMatchObject({ median: 9_000, ownCpu: undefined, cpuRatio: undefined, machineCpu: 0 });
  });

  test('are held against the targets of the works that ran', () => {
    expect(targetFigures(figures, targets).map(({ measured, reached: so }) => [measured, so])).toEqual([
      [2.5, true],
      [1.75, false],
      [undefined, undefined],
    ]);
  });

  test('what failed is named by work, peer and round', () => {
    expect(failuresOf(figures)).toEqual(['haul over other, round 3: it went away']);
  });
});

test.each([
  ['at least', 1.2, 1.2, true],
  ['at least', 1.2, 1.19, false],
  ['at least', 1, 0.996, true],
  ['at most', 0.9, 0.9, true],
  ['at most', 0.9, 0.91, false],
] as const)('%s %d is reached by %d: %j', (bound, ratio, measured, expected) => {
  expect(reached({ work: '', peer: '', figure: 'value', bound, ratio }, measured)).toBe(expected);
});

test('the table tells figures, ratios, targets, and what is missing', () => {
  const works = workFigures(runs);
  const text = renderReport({
    quick: false,
    rounds: 3,
    stage: 'a stage',
    versions: new Map([['other', '2.6']]),
    loads: new Map([['cart', '1.0']]),
    leftOut: [{ name: 'nebula', reason: 'nebula is not installed' }],
    works,
    warmed: [{ work: 'haul', title: 'a haul', cpuPer: 'GB', peer: 'weft', runs: 3, first: 4.5, last: undefined }],
    targets: targetFigures(works, targets),
    limits: [
      {
        name: 'rest',
        what: '',
        target: 'at most 70 MiB',
        value: 81.26,
        unit: 'MiB',
        reached: false,
        detail: 'idle',
        failed: false,
      },
      {
        name: 'depth',
        what: '',
        target: 'at most 2',
        value: undefined,
        unit: '',
        reached: undefined,
        detail: 'no water',
        failed: false,
      },
    ],
    surveys: [
      {
        name: 'steps',
        title: 'Steps',
        table: { header: ['', 'ms', ''], rows: [['one', '1.0', 'x']], how: 'With a clock' },
        reason: '',
        failed: false,
      },
    ],
    failures: failuresOf(works),
  });
  expect(text).toBe(`3 rounds, a stage; medians, and medians of the rounds' ratios
servers and loads: cart 1.0

### By work: the figure, and Weft over it

|                | direct |  weft |   other 2.6 |
| -------------- | -----: | ----: | ----------: |
| a haul, Mbit/s |  9,000 | 2,000 | 750 (2.50x) |

### Processor seconds of its own, both ends, and Weft over them

|            | weft |    other 2.6 |
| ---------- | ---: | -----------: |
| GB: a haul | 2.00 | 2.50 (1.75x) |

### Weft by core: each end's processor seconds, what one core of it carries, and its memory (MiB) after that work and all before it

|        | s, callers' agent |      one core |  MiB | s, servers' agent |     one core |  MiB | per |
| ------ | ----------------: | ------------: | ---: | ----------------: | -----------: | ---: | --- |
| a haul |             0.500 | 16,000 Mbit/s | 80.0 |              1.00 | 8,000 Mbit/s | 91.0 | GB  |

### Weft in other settings

|                                            | figure | as it is/this | CPU s | as it is/this | of             |
| ------------------------------------------ | -----: | ------------: | ----: | ------------: | -------------- |
| as it is                                   |  2,000 |             – |  2.00 |             – | a haul, Mbit/s |
| metrics read each second, a dashboard open |  2,500 |         1.20x |  2.00 |         1.00x | a haul, Mbit/s |

### Before the first round: processor seconds of its own, both ends, of the first run and of the last

|        |      | runs | first | last | per |
| ------ | ---: | ---: | ----: | ---: | --- |
| a haul | weft |    3 |  4.50 |    – | GB  |

### To reach: Weft over the peer

|                    | against |        target | measured |              |
| ------------------ | ------: | ------------: | -------: | ------------ |
| a haul             |   other | at least 2.5x |    2.50x | reached      |
| CPU per GB, a haul |   other |  at most 0.9x |    1.75x | SHORT        |
| a haul             |  absent |   at least 1x |        – | not measured |

### Bounds

|       | measured |         target |              |          |
| ----- | -------: | -------------: | -----------: | -------- |
| rest  | 81.3 MiB | at most 70 MiB |        SHORT | idle     |
| depth |        – |      at most 2 | not measured | no water |

### Steps

With a clock.

|     |  ms |     |
| --- | --: | --- |
| one | 1.0 | x   |

### a haul (Mbit/s, more is better)

|               | Mbit/s |      of rounds | weft/peer | p50, ms | CPU s/GB | weft/peer | whole machine |        |
| ------------- | -----: | -------------: | --------: | ------: | -------: | --------: | ------------: | ------ |
| direct        |  9,000 | 9,000 .. 9,000 |     0.22x |       – |        – |         – |         0.000 |        |
| weft          |  2,000 | 1,000 .. 3,000 |         – |       – |     2.00 |         – |          4.00 |        |
| weft-observed |  2,500 |              – |     1.20x |       – |     2.00 |     1.00x |          4.00 |        |
| other 2.6     |    750 |   500 .. 1,000 |     2.50x |    2.50 |     2.50 |     1.75x |          5.00 | failed |

left out: nebula: nebula is not installed
FAILED: haul over other, round 3: it went away
`);
});
