import { expect, test } from 'vitest';
import { getOf } from './paced.ts';

test('a request and the length of its answer are as redis has them', () => {
  expect(getOf({ key: 'value-1024', size: 1_024 })).toEqual([
    '*2\r\n$3\r\nGET\r\n$10\r\nvalue-1024\r\n',
    '$1024\r\n'.length + 1_024 + 2,
  ]);
});
