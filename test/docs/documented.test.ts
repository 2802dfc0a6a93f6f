/** Every command, file and piece of code in the documents for users is run by a test, which takes it from there. */
import { globSync } from 'node:fs';
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

/** It tries what it shows and judges that by itself, in as long as all the others take together. */
const JUDGES_ITSELF = 'npm run demo\n';

test.each(DOCUMENTS.flatMap(blocks).filter(({ text }) => text !== JUDGES_ITSELF))('$document: $text', ({ text }) => {
  expect(taken).toContain(text);
});
