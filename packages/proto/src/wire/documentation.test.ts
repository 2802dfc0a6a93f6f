import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { protoDirectory } from './index.ts';

const directory = join(protoDirectory, 'weft', 'v1');

test.each(readdirSync(directory))('%s says what each of its messages, fields, values and calls is', (name) => {
  const lines = readFileSync(join(directory, name), 'utf8').split('\n');
  const silent = lines.filter((line, index) => {
    const declares = /^\s*(message|enum|service|rpc|oneof) |^\s+[\w. ]+ = \d+;/.test(line);
    return declares && !/^\s*\/\//.test(lines[index - 1] ?? '');
  });
  expect(silent).toEqual([]);
});
