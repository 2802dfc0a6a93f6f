/** Every command, file and piece of code in the documents for users is run by a test, which takes it from there. */
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blocks, documented } from './documented.ts';
import { ROOT, read } from './sources.ts';

const DOCUMENTS = ['README.md', 'docs/API.md'];

/** documented('README.md', 'weft apply') in any test. */
const taken = globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] }).flatMap((path) =>
  Array.from(
    read(path).matchAll(/\bdocumented\(\s*'([^']+)',\s*'([^']+)',?\s*\)/g),
    ([, document = '', beginning = '']) => documented(document, beginning),
  ),
);

/** readGuide('docs/guides/redis-bullmq.md') or readSteps in any test, which does all that the guide says. */
const followed = globSync('test/{harness,netns,process}/**/*.ts', { cwd: ROOT }).flatMap((path) =>
  Array.from(read(path).matchAll(/\bread(?:Guide|Steps)\('([^']+)'\)/g), ([, document = '']) => document),
);

test.each(globSync('docs/guides/*.md', { cwd: ROOT }))('%s: a test follows it, and README leads to it', (guide) => {
  expect(followed).toContain(guide);
  expect(read('README.md')).toContain(`](${guide})`);
  const missing = Array.from(read(guide).matchAll(/\]\(([^)#:]+)/g), ([, link = '']) => join('docs/guides', link));
  expect(missing.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

/** It tries what it shows and judges that by itself, in as long as all the others take together. */
const JUDGES_ITSELF = 'npm run demo\n';

test.each(DOCUMENTS.flatMap(blocks).filter(({ text }) => text !== JUDGES_ITSELF))('$document: $text', ({ text }) => {
  expect(taken).toContain(text);
});
