/** What root takes from whoever answers at an agent's socket. */
import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadOf } from '../../guard/ruleset.ts';
import { localAgents } from '../local-agent.fixture.ts';
import { askAgent } from './wish.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-wish-'));
afterAll(() => rm(directory, { recursive: true }));
const agent = localAgents(directory);
const never = new AbortController().signal;

const PLACE = { service: 'redis', protocol: 'tcp', address: 'fd00::9', port: 6379 };
const ANSWER = { wanted: true, places: [PLACE], range: '100.80.0.0/12', number: '0123456789abcdef', kept: false };
const HOSTILE =
  'fd00::9 . tcp . 1 } }\n}\ndelete table inet hostfw\ntable inet x { set y { type ipv6_addr; elements = { ::1';

test('an answer as it should be is a wish', async () => {
  const data = await agent({}, { guard: { ...ANSWER, more: 'of a later version' } });
  const wish = await askAgent(data, {}, never);
  expect(wish).toMatchObject({ wanted: true, places: [PLACE], directory: realpathSync(data) });
  expect(loadOf(wish)).toContain('fd00::9 . tcp . 6379');
});

test('who may call from the range is root, who the agent says it is, and whose its directory is; nobody is said where it says nothing', async () => {
  const owner = process.getuid?.() ?? 0;
  const data = await agent({}, { guard: { ...ANSWER, user: 998 } });
  expect((await askAgent(data, {}, never)).users).toEqual([...new Set([0, owner, 998])].sort((a, b) => a - b));
  const silent = await agent({}, { guard: ANSWER });
  expect((await askAgent(silent, {}, never)).users).toEqual([]);
});

/** Of an interface of this machine that is not loopback; where it has none there is nothing to overlap. */
const own = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

test.each<[string, object]>([
  ['an address with commands of nft behind it', { places: [{ ...PLACE, address: HOSTILE }] }],
  ['an address of a link', { places: [{ ...PLACE, address: 'fe80::1%eth0' }] }],
  ['a port that is text', { places: [{ ...PLACE, port: '1 }' }] }],
  ['a port that is none', { places: [{ ...PLACE, port: 65_536 }] }],
  ['a protocol that is none', { places: [{ ...PLACE, protocol: 'tcp }' }] }],
  ['places that are no list', { places: { length: 1 } }],
  ['more places than it closes', { places: Array.from({ length: 4_097 }, () => PLACE) }],
  ['a range with commands behind it', { range: '100.80.0.0/12 drop' }],
  ['all of IPv4', { range: '0.0.0.0/0' }],
  ['a range of the internet', { range: '8.8.8.0/24' }],
  ['a range with 127.0.0.1 in it', { range: '127.0.0.0/8' }],
  ['a network of this host', { range: own === undefined ? '169.254.0.0/16' : `${own}/32` }],
  ['a number with words behind it', { number: 'a b' }],
  ['a user with words behind it', { user: '998 accept' }],
  ['a user that is none', { user: 2 ** 32 - 1 }],
  ['a wish that is neither yes nor no', { wanted: 'yes' }],
])('%s is none', async (_, lie) => {
  const data = await agent({}, { guard: { ...ANSWER, ...lie } });
  await expect(askAgent(data, {}, never)).rejects.toMatchObject({ code: 'guard-odd-wish' });
});
