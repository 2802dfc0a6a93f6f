import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const report = process.env.WEFT_TEST_REPORT;

/** Where unit tests keep files: in memory where there is room, since on a slow disk they wait for nothing but fsync. */
function filesOfUnitTests(): string {
  const memory = '/dev/shm';
  if (process.env.TMPDIR !== undefined || !existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize >= 2 ** 30 ? memory : tmpdir();
}

/**
 * Each worker takes a file as soon as it is done with one, the largest first: none is idle until the last files of a group. They wait more than they
 * compute: with one worker fewer than cores, as comes by itself, a machine of two is idle half the time. One more takes a tenth of the time away, and
 * whole programs starve now and then.
 */
const workers = availableParallelism();

/**
 * Tests that have a process for each file: of what works with Node's inside, which is trusted until it was once found to be another; of V8's flags and
 * memory; and with modules in the place of others.
 */
const ALONE = [
  'packages/agent/src/{bytes,egress,gateway,inbound,outbound,owner,run,sandbox,tunnel}/**/*.test.ts',
  'packages/agent/src/protocol/noise/small-cipher.test.ts',
  'packages/control/src/rpc/page.test.ts',
  'packages/proto/src/files/held-file.test.ts',
  'packages/proto/src/house/*.test.ts',
  'test/scenario/**/*.test.ts',
];

/**
 * Tests of whole programs that wait for half of their time, for what Weft does every few seconds and for what never answers: beside two of them there is
 * room for a third on two cores, and no program starves.
 */
const WAITING = [
  'test/netns/{check,exposure,first-hour,guard,vip-range}.test.ts',
  'test/netns/sandbox-{life,ports,programs,serves}.test.ts',
  'test/process/units.test.ts',
  'test/scenario/{datagrams,local,owners}.test.ts',
];

/** Those that take longest, the longest first: begun last, one would run alone at the end. All others come after them, the largest first. */
const LONGEST = [
  ...['netns/first-hour', 'netns/guard', 'netns/exposure', 'netns/check', 'netns/sandbox-programs', 'netns/services'],
  ...['process/node-versions', 'process/operating', 'process/bench', 'process/files', 'process/durability'],
  ...['browser/views', 'browser/changes', 'browser/large'],
].map((name) => `/test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? LONGEST.length : found;
    };
    // The order of projects is kept.
    return [...new Set(sorted.map(({ project }) => project))].flatMap((project) =>
      sorted.filter((file) => file.project === project).sort((a, b) => place(a) - place(b)),
    );
  }
}

const unit = {
  globalSetup: 'test/harness/compile-cache.ts',
  env: { TMPDIR: filesOfUnitTests() },
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // Of a machine that does much else a second is nothing.
  expect: { poll: { timeout: 15_000 } },
  pool: 'forks',
  maxWorkers: workers,
  sequence: { groupOrder: 0 },
} as const;

/** Whole programs, many in each. */
const programs = {
  globalSetup: 'test/harness/made-package.ts',
  // What is waited for has bounds of its own; of a machine that does much else they come together.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks',
  maxWorkers: workers,
  sequence: { groupOrder: 1 },
} as const;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      {
        // Each worker runs all its files in one process: to start one for each costs more than most of them do.
        test: {
          ...unit,
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/control/web/src/**/*.test.{ts,tsx}',
            'test/{bench,compat,docs}/**/*.test.ts',
          ],
          exclude: ALONE,
          isolate: false,
        },
      },
      { test: { ...unit, name: 'alone', include: ALONE, exclude: WAITING } },
      {
        test: {
          ...programs,
          name: 'system',
          include: ['test/process/**/*.test.ts', 'test/mutate/*.test.ts'],
          exclude: WAITING,
        },
      },
      { test: { ...programs, name: 'hosts', include: ['test/netns/**/*.test.ts'], exclude: WAITING } },
      { test: { ...programs, name: 'browser', include: ['test/browser/**/*.test.ts'] } },
      {
        test: {
          ...programs,
          name: 'waiting',
          include: WAITING,
          expect: unit.expect,
          maxWorkers: workers + 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
