import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { defineConfig } from 'vitest/config';

const report = process.env.WEFT_TEST_REPORT;

/** Where unit tests keep files: in memory where there is room, since on a slow disk they wait for nothing but fsync. */
function filesOfUnitTests(): string {
  const memory = '/dev/shm';
  if (process.env.TMPDIR !== undefined || !existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize >= 2 ** 30 ? memory : tmpdir();
}

export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      {
        test: {
          name: 'unit',
          env: { TMPDIR: filesOfUnitTests() },
          include: [
            'packages/*/src/**/*.test.ts',
            'packages/control/web/src/**/*.test.{ts,tsx}',
            'test/scenario/**/*.test.ts',
            'test/bench/**/*.test.ts',
            'test/docs/**/*.test.ts',
            'test/compat/**/*.test.ts',
          ],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          // Of a machine that does much else a second is nothing.
          expect: { poll: { timeout: 15_000 } },
          pool: 'forks',
          // They wait more than they compute: with one worker fewer than cores, as comes by itself, a machine of two is idle half the time.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Each of these has many processes of its own: one at a time, or they starve each other on a small machine.
        test: {
          name: 'system',
          include: ['test/process/**/*.test.ts', 'test/mutate/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          pool: 'forks',
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Each has hosts and a network of its own, where nothing of another shows.
        test: {
          name: 'hosts',
          include: ['test/netns/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          pool: 'forks',
          maxWorkers: Math.min(availableParallelism(), 4),
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          pool: 'forks',
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
