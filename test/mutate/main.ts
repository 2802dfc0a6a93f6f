/** Mutation testing: the source is changed one thing at a time, and each change that no test fails on is printed. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../harness/host.ts';

const USAGE = `Usage: npm run mutate -- FOLDER|FILE [--tests FOLDER]... [--minutes 10]

Asks the tests in the changed folder, and in those that --tests names (such as test/scenario).
Exit code: 0 when nothing survived, 1 when something did or time was up, 2 when it could not be asked.
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tests: { type: 'string', multiple: true, default: [] }, minutes: { type: 'string', default: '10' } },
  });
  const [given] = positionals;
  const minutes = Number(values.minutes);
  const path = given === undefined ? undefined : relative(checkout, resolve(given));
  if (path === undefined || positionals.length > 1 || !(minutes > 0) || !existsSync(join(checkout, path))) {
    process.stderr.write(USAGE);
    return 2;
  }
  const isFolder = statSync(join(checkout, path)).isDirectory();
  const folders = [isFolder ? path : dirname(path), ...values.tests];
  // Read by vitest.config.ts, in the processes that Stryker starts.
  process.env.WEFT_MUTATE_TESTS = folders.map((folder) => `${folder}/**/*.test.ts`).join('\n');
  // Ends Stryker as an interrupt does: its processes and its copy of the tree go with it.
  setTimeout(() => {
    process.stdout.write(`stopped after ${minutes} minutes; the rest was not tried\n`);
    process.exit(1);
  }, minutes * 60_000).unref();
  // Not before it is asked for: it takes a second.
  const { Stryker } = await import('@stryker-mutator/core');
  const results = await new Stryker({
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner', join(import.meta.dirname, 'survivors.ts')],
    vitest: { configFile: 'test/mutate/vitest.config.ts', related: false, pool: 'forks' },
    mutate: isFolder ? [`${path}/**/*.ts`, `!${path}/**/*.{test,fixture,d}.ts`] : [path],
    // Wording, and how much of it, is not what these tests hold.
    mutator: { excludedMutations: ['StringLiteral', 'ObjectLiteral', 'Regex'] },
    reporters: ['survivors'],
    tempDirName: '.mutate',
    coverageAnalysis: 'perTest',
    timeoutMS: 10_000,
    concurrency: 2,
  }).runMutationTest();
  const alive = results.filter(({ status }) => status === 'Survived' || status === 'NoCoverage').length;
  process.stdout.write(`${alive} of ${results.length} survived\n`);
  return alive === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
