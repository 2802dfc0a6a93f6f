import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { CONTROL_RANGE, itemKey, type NetmapItem } from '@weft/proto';
import { lockState } from '@weft/proto/files';
import { encodeItem } from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { loadIdentity, saveIdentity } from './identity.ts';
import { makeKeys, signedBy } from './keys.ts';
import { takeDirectory } from './lock.ts';
import { type KeepSource, loadNetmap, NetmapKeeper, netmapPutAway } from './persist.ts';
import { openSeenWildcards } from './wildcards-file.ts';

const logger = pino({ level: 'silent' });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-state-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function modeOf(name: string): Promise<number> {
  return (await stat(join(directory, name))).mode & 0o777;
}

describe('the identity', () => {
  const membership = {
    agentId: 'a1',
    network: 'prod',
    host: 'build-3',
    controlAddresses: ['127.0.0.1:7400'],
    pin: new Uint8Array(32).fill(7),
    ephemeral: false,
    revoked: false,
  };

  test('comes back as it was kept, for its owner alone', async () => {
    const keys = makeKeys();
    await saveIdentity(directory, { keys, membership: undefined });
    expect(await loadIdentity(directory)).toEqual({ keys, membership: undefined });
    await saveIdentity(directory, { keys, membership });
    expect(await loadIdentity(directory)).toEqual({ keys, membership });
    expect(await modeOf('identity.json')).toBe(0o600);
    expect(await readdir(directory)).toEqual(['identity.json']);
  });

  test('is read with the same keys, of which the public halves are made anew, and signs by them', async () => {
    const keys = makeKeys();
    await saveIdentity(directory, { keys, membership });
    const read = await loadIdentity(directory);
    expect(read?.keys).toEqual(keys);
    const message = Buffer.from('a hello');
    const { publicKey } = nacl.sign.keyPair.fromSeed(keys.identity.secretKey);
    expect(nacl.sign.detached.verify(message, signedBy(read?.keys ?? keys, message), publicKey)).toBe(true);
  });

  test('is not there before it is made', async () => {
    expect(await loadIdentity(directory)).toBeUndefined();
  });

  test('is refused when damaged, and the error tells nothing of the keys', async () => {
    const keys = makeKeys();
    await saveIdentity(directory, { keys, membership });
    const path = join(directory, 'identity.json');
    const content = await readFile(path, 'utf8');
    await writeFile(path, content.slice(0, -20));
    const seed = Buffer.from(keys.identity.secretKey).toString('base64url');
    await expect(loadIdentity(directory)).rejects.toThrow(`cannot use ${path}: it is damaged`);
    // Here the parser quotes what it stumbled over.
    await writeFile(path, content.replace(`"${seed}"`, `!${seed}`));
    const error = await loadIdentity(directory).catch(inspect);
    expect(error).toContain('it is damaged');
    expect(error).not.toContain(seed.slice(0, 6));
    await writeFile(path, '{"version":1,"identitySeed":"AA","tunnelSecret":"AA"}');
    await expect(loadIdentity(directory)).rejects.toThrow('it is damaged');
  });
});

describe('files of other versions', () => {
  /** As the first version whose files are read left them. */
  const FIRST = join(import.meta.dirname, '../../../../test/fixtures/stored');

  test('those of the version before are taken with all that is in them', async () => {
    for (const name of ['identity.json', 'netmap.json', 'wildcards.json'])
      await copyFile(join(FIRST, name), join(directory, name));
    const identity = await loadIdentity(directory);
    expect(identity?.membership).toMatchObject({ network: 'prod', host: 'data-1', revoked: false });
    const kept = await loadNetmap(directory, identity?.membership?.agentId ?? '', logger);
    expect(kept?.position).toMatchObject({ index: 5, revision: 5 });
    expect(kept?.items.map(itemKey)).toEqual(['service/web', 'service/redis', 'policy', 'self', 'instance/redis/0']);
    expect(kept?.items[2]).toMatchObject({ rules: [{ name: 'no-mail', action: 'deny' }] });
    expect((await openSeenWildcards(directory, logger)).seenMs('8125/udp')).toBe(-Infinity);
  });

  test.each([
    ['identity.json', 'restore the copy of before it, or remove it and join again'],
    ['netmap.json', 'remove it, after which this host serves nothing until it hears control'],
  ])('a newer %s is refused by name, with what to do, and stays as it is', async (name, otherwise) => {
    const path = join(directory, name);
    const content = '{"version":2,"writtenBy":"0.9.0","agentId":"a1","new":["things"]}';
    await writeFile(path, content);
    const loading = name === 'netmap.json' ? loadNetmap(directory, 'a1', logger) : loadIdentity(directory);
    const message = `${path} was written by a newer weft 0.9.0 (form 2; this one reads 1) and is left as it is. Start that version again; or ${otherwise}`;
    await expect(loading).rejects.toMatchObject({ code: 'state-unusable', message: expect.stringContaining(message) });
    expect(await readFile(path, 'utf8')).toBe(content);
  });
});

describe('the lock', () => {
  test('lets one agent in at a time', async () => {
    const inner = join(directory, 'made', 'for', 'it');
    const lock = takeDirectory(inner, logger);
    expect((await stat(inner)).mode & 0o777).toBe(0o700);
    expect(() => takeDirectory(inner, logger)).toThrow(expect.objectContaining({ code: 'already-running' }));
    lock.release();
    takeDirectory(inner, logger).release();
  });

  test('clears away what an agent that was killed had half written, and nothing of control', async () => {
    for (const name of ['identity.json', 'netmap.json', 'wildcards.json', 'control.key']) {
      await writeFile(join(directory, `${name}.0123456789ab.tmp`), 'half');
    }
    const lock = takeDirectory(directory, logger);
    await writeFile(join(directory, 'netmap.json.ba9876543210.tmp'), 'half');
    expect(() => takeDirectory(directory, logger)).toThrow(expect.objectContaining({ code: 'already-running' }));
    lock.release();
    const left = ['agent.lock', 'control.key.0123456789ab.tmp', 'netmap.json.ba9876543210.tmp'];
    expect(new Set(await readdir(directory))).toEqual(new Set(left));
  });

  test('tells who else may read its keys, and holds nothing where another may write them', async () => {
    const told: unknown[] = [];
    const watched = { warn: (event: unknown) => void told.push(event) };
    for (const name of ['identity.json', 'netmap.json', 'guard.json'])
      await writeFile(join(directory, name), '', { mode: 0o644 });
    takeDirectory(directory, watched).release();
    const paths = ['identity.json', 'netmap.json'].map((name) => join(directory, name));
    expect(new Set(told)).toEqual(new Set(paths.map((path) => ({ event: 'secret-exposed', path }))));
    await chmod(join(directory, 'netmap.json'), 0o666);
    await chmod(directory, 0o755);
    const refused = { code: 'state-unusable', message: expect.stringContaining('netmap.json: it may be written to') };
    expect(() => takeDirectory(directory, watched)).toThrow(expect.objectContaining(refused));
    expect(lockState(directory, 'agent')).toBe('free');
  });

  test('tells of a directory that cannot be used', async () => {
    await writeFile(join(directory, 'file'), '');
    expect(() => takeDirectory(join(directory, 'file'), logger)).toThrow(
      expect.objectContaining({ code: 'state-unusable' }),
    );
  });
});

describe('the netmap on disk', () => {
  const items: NetmapItem[] = [
    {
      type: 'service',
      service: { name: 'mailer', kind: 'worker', ports: [], tags: ['x'] },
      address: CONTROL_RANGE.base + 5,
    },
    {
      type: 'policy',
      defaultAction: 'deny',
      rules: [{ name: 'r', action: 'allow', from: ['*'], to: ['redis'], ports: [] }],
    },
  ];
  let problems: ProblemBoard;
  const stop = new AbortController();
  beforeEach(() => {
    problems = new ProblemBoard(logger);
  });
  afterAll(() => stop.abort());
  const keeperOf = (source: KeepSource, place = directory) =>
    new NetmapKeeper({
      directory: place,
      agentId: 'a1',
      source,
      problems,
      signal: stop.signal,
      retry: { firstMs: 5, mostMs: 20 },
    });
  const kept = {
    position: { timeline: 't', index: 3, revision: 8, receipt: new Uint8Array(16).fill(9) },
    encoded: new Map(items.map((item) => [itemKey(item), new Uint8Array(encodeItem(item))])),
    heardMs: 1_700_000_000_000,
  };

  test('comes back as it was, for the same agent and its owner alone', async () => {
    const keeper = keeperOf(() => kept);
    await keeper.flush();
    expect(await modeOf('netmap.json')).toBe(0o600);
    expect(await loadNetmap(directory, 'a1', logger)).toEqual({ ...kept, items });
    expect(await loadNetmap(directory, 'a2', logger)).toBeUndefined();
    await keeper.remove();
    expect(await readdir(directory)).toEqual([]);
    expect(await loadNetmap(directory, 'a1', logger)).toBeUndefined();
  });

  test('loses only the item that is damaged', async () => {
    await keeperOf(() => kept).flush();
    const path = join(directory, 'netmap.json');
    const content = JSON.parse(await readFile(path, 'utf8')) as { items: string[] };
    content.items[0] = 'AAAA';
    await writeFile(path, JSON.stringify(content));
    expect((await loadNetmap(directory, 'a1', logger))?.items).toEqual(items.slice(1));
    await writeFile(path, '{"version":1');
    expect(await loadNetmap(directory, 'a1', logger)).toBeUndefined();
  });

  test('that was emptied at the end of a membership is none, and nothing is wrong with it', async () => {
    await writeFile(join(directory, 'netmap.json'), '');
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    expect(await loadNetmap(directory, 'a1', log)).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test('writes the state of the moment it writes, and nothing after it was removed', async () => {
    let revision = 1;
    const keeper = keeperOf(() => ({ ...kept, position: { ...kept.position, revision } }));
    keeper.changed();
    revision = 2;
    keeper.changed();
    await keeper.flush();
    expect((await loadNetmap(directory, 'a1', logger))?.position.revision).toBe(2);
    keeper.changed();
    await keeper.remove();
    expect(await readdir(directory)).toEqual([]);
  });

  test('what could not be written is a problem, and is tried again until it is', async () => {
    const place = join(directory, 'gone');
    const keeper = keeperOf(() => kept, place);
    expect(await keeper.holds(true)).toBe(false);
    // What only adds takes nothing from that.
    expect(await keeper.holds(false)).toBe(false);
    expect(problems.current.map(({ code }) => code)).toEqual(['netmap-not-kept']);
    const { recovered } = keeper;
    await mkdir(place);
    await recovered;
    expect([problems.current, await readdir(place), await keeper.holds(false)]).toEqual([[], ['netmap.json'], true]);
  });

  test('a copy that permits what was taken away is put out of the way where no newer one can be written', async () => {
    // The file's own name fits into a path, and the name of one beside it does not: what makes a file anew fails.
    const name = 'd'.repeat(200);
    let place = directory;
    while (place.length + name.length < 4_050) place = join(place, name);
    place = join(place, 'e'.repeat(4_095 - place.length - '/'.length - '/netmap.json'.length));
    await mkdir(place, { recursive: true });
    await keeperOf(() => kept).flush();
    const path = join(place, 'netmap.json');
    await copyFile(join(directory, 'netmap.json'), path);
    const keeper = keeperOf(() => kept, place);
    // What only adds takes nothing away from the copy that is there.
    await keeper.flush();
    expect((await loadNetmap(place, 'a1', logger))?.items).toEqual(items);
    expect([await netmapPutAway(place), problems.current[0]?.message]).toEqual([
      false,
      expect.stringMatching(/would start again with what was permitted before$/),
    ]);
    expect(await keeper.holds(true)).toBe(false);
    expect([await loadNetmap(place, 'a1', logger), await netmapPutAway(place)]).toEqual([undefined, true]);
    expect(problems.current).toMatchObject([
      { code: 'netmap-not-kept', message: expect.stringContaining('serve nothing until it hears control') },
    ]);
  });

  test('a removal that failed is tried again too, and nothing is written in its place', async () => {
    const keeper = keeperOf(() => kept);
    await mkdir(join(directory, 'netmap.json'));
    await keeper.remove();
    expect(problems.current.map(({ code }) => code)).toEqual(['netmap-not-kept']);
    const { recovered } = keeper;
    await rm(join(directory, 'netmap.json'), { recursive: true });
    await recovered;
    expect([problems.current, await readdir(directory)]).toEqual([[], []]);
  });

  test('what takes away is on disk when it is said to be, of however many in a row', async () => {
    let revision = 0;
    const keeper = keeperOf(() => ({ ...kept, position: { ...kept.position, revision } }));
    const said = Array.from({ length: 5 }, async (_, index) => {
      revision = index + 1;
      expect(await keeper.holds(true)).toBe(true);
      expect((await loadNetmap(directory, 'a1', logger))?.position.revision).toBeGreaterThanOrEqual(index + 1);
    });
    await Promise.all(said);
  });
});
