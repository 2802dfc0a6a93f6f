/** What docs/API.md says of each call is what admin.proto declares, and what control asks for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { adminService, protoDirectory } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { MOST_STREAMS } from '../../packages/control/src/admin/role-places.ts';
import { READ_PATHS } from '../../packages/control/src/rpc/roles.ts';

const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'API.md'), 'utf8');
const rows = [...text.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$/gm)];

test('each call stands there once, in the order of admin.proto', () => {
  const proto = readFileSync(join(protoDirectory, 'weft', 'v1', 'admin.proto'), 'utf8');
  const declared = [...proto.matchAll(/^ {2}rpc (\w+)\(/gm)].map(([, name]) => name);
  expect(rows.map(([, name]) => name)).toEqual(declared);
});

test.each(Object.values(adminService))('$path is told with the token that it takes', ({ path }) => {
  const [, , token] = rows.find(([, name]) => path.endsWith(`/${name}`)) ?? [];
  expect(token).toBe(READ_PATHS.has(path) ? 'read' : 'admin');
});

test('every error that a call may come to is told of', () => {
  const told = new Set([...text.matchAll(/^\| ([A-Z_]+) \| /gm)].map(([, name]) => name));
  const named = new Set(rows.flatMap(([, , , , errors = '']) => errors.split(', ')));
  expect([...named].filter((name) => !told.has(name) || !(name in status))).toEqual([]);
});

test('how many watches may stand open is told as it is', () => {
  const { read, admin } = MOST_STREAMS;
  const proto = readFileSync(join(protoDirectory, 'weft', 'v1', 'admin.proto'), 'utf8');
  const told = /At most (\d+) (?:watches )?stand open with the(?:\s+\/\/)? read token and (\d+) with the admin token/;
  for (const each of [text, proto]) expect(told.exec(each)?.slice(1).map(Number)).toEqual([read, admin]);
});
