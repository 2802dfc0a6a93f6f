/** What every ChangeLog with its History must do, as tests. A store that passes may stand under the state. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChangeLog, History } from './change-log.ts';
import type { NewAuditRow, RowWrite } from './rows.ts';

export type Log = ChangeLog & History;

export interface Opened {
  readonly log: Log;
  readonly close: () => void;
}

/** One that outlives its process: `reopen` ends the one before, and opens another on the same data. */
export interface Lasting extends Opened {
  readonly reopen: () => Promise<Log>;
}

const network = (name: string, revision = 1): RowWrite[] => [
  { write: 'addNetwork', row: { name, revision, secret: Uint8Array.from([1, 2, 3]) } },
  {
    write: 'addRevision',
    row: { network: name, revision, appliedMs: 5, changes: '[]', mesh: `"${name}"`, origins: '' },
  },
];
const setRevision = (name: string, revision: number): RowWrite => ({ write: 'setRevision', row: { name, revision } });
const audit: NewAuditRow = {
  atMs: 7,
  actor: 'admin 10.0.0.7',
  action: 'apply',
  network: 'prod',
  subject: '',
  revision: 1,
  detail: '',
  refused: false,
};
/** There is no such network. */
const unwritable: RowWrite = {
  write: 'putAddress',
  row: { network: 'nowhere', name: 'host/a', place: 1, releasedMs: undefined },
};

export function testChangeLog(name: string, open: () => Promise<Opened>): void {
  const opened = async (): Promise<Opened> => {
    const made = await open();
    onTestFinished(made.close);
    return made;
  };
  const names = async (log: Log): Promise<string[]> => (await log.read()).networks.map((row) => row.name);

  describe(`the change log of ${name}`, () => {
    test('begins empty, and holds what was committed, one place on', async () => {
      const { log } = await opened();
      expect(await log.read()).toMatchObject({ sequence: 0, networks: [], tokens: [] });
      expect(await log.append(0, network('prod'))).toBe(true);
      expect(await log.append(1, [setRevision('prod', 2)])).toBe(true);
      expect(await log.read()).toMatchObject({
        sequence: 2,
        networks: [{ name: 'prod', revision: 2, mesh: '"prod"' }],
      });
    });

    test('gives a place to one, and the other writes nothing', async () => {
      const { log } = await opened();
      const both = await Promise.all([log.append(0, network('one')), log.append(0, network('other'))]);
      expect(both.filter((made) => made)).toHaveLength(1);
      expect(await names(log)).toEqual([both[0] ? 'one' : 'other']);
      // Nor is a place given that is not next.
      for (const place of [0, 2, -1]) expect(await log.append(place, network('late'))).toBe(false);
      expect((await log.read()).sequence).toBe(1);
    });

    test('commits all of a list or none of it, in the order of the list', async () => {
      const { log } = await opened();
      await log.append(0, network('prod'));
      await expect(log.append(1, [...network('half'), setRevision('prod', 9), unwritable])).rejects.toMatchObject({
        name: 'StoreError',
        code: 'write-failed',
      });
      expect(await log.read()).toMatchObject({ sequence: 1, networks: [{ name: 'prod', revision: 1 }] });
      await log.append(1, [setRevision('prod', 3), setRevision('prod', 2)]);
      expect((await log.read()).networks).toMatchObject([{ revision: 2 }]);
    });

    test('tells each who follows of each commit, in order, whoever made it, once it can be read', async () => {
      const { log } = await opened();
      await log.append(0, network('before'));
      const heard: number[] = [];
      const read: Promise<number>[] = [];
      await log.follow((sequence) => {
        heard.push(sequence);
        read.push(log.read().then((contents) => contents.sequence - sequence));
      });
      const again: number[] = [];
      await log.follow((sequence) => again.push(sequence));
      await Promise.all([log.append(1, network('one')), log.append(1, network('other'))]);
      await log.append(2, [unwritable]).catch(() => undefined);
      await log.append(2, network('last'));
      await expect
        .poll(() => [heard, again])
        .toEqual([
          [2, 3],
          [2, 3],
        ]);
      for (const ahead of await Promise.all(read)) expect(ahead).toBeGreaterThanOrEqual(0);
    });

    test('removes a network with what is of it, and keeps how far it came; its name may be given again', async () => {
      const { log } = await opened();
      await log.append(0, network('prod'));
      const entry = { ...audit, action: 'network-delete', revision: 7 };
      await log.append(1, [
        { write: 'removeNetwork', row: { name: 'prod', revision: 7 } },
        { write: 'addAudit', row: entry },
      ]);
      expect(await log.read()).toMatchObject({ revision: 7, networks: [] });
      expect(await log.revisions('prod', 10)).toEqual([]);
      await log.append(2, network('prod', 8));
      expect(await log.read()).toMatchObject({ revision: 8, networks: [{ name: 'prod', meshRevision: 8 }] });
    });

    test('takes note of where rules of the newest mesh are found, and of no other', async () => {
      const { log } = await opened();
      await log.append(0, [...network('prod', 1), ...network('other', 2)]);
      await log.append(1, [{ write: 'setOrigins', row: { network: 'prod', revision: 1, origins: '["here"]' } }]);
      expect((await log.read()).networks).toMatchObject([
        { name: 'other', origins: '' },
        { name: 'prod', origins: '["here"]' },
      ]);
    });

    test('keeps what was, which takes no place', async () => {
      const { log } = await opened();
      await log.append(0, [...network('prod'), { write: 'addAudit', row: audit }]);
      await log.record({ ...audit, action: 'sign-in', network: '' });
      const entries = await log.audit({ network: 'prod', limit: 10 });
      expect(entries.map(({ action, sequence }) => [action, sequence])).toEqual([
        ['sign-in', 2],
        ['apply', 1],
      ]);
      expect(await log.audit({ network: '', limit: 1, before: 2 })).toMatchObject([{ action: 'apply' }]);
      expect(await log.revisions('prod', 10)).toMatchObject([{ revision: 1, appliedMs: 5 }]);
      expect(await log.meshAt('prod', 7)).toMatchObject({ revision: 1, mesh: '"prod"' });
      expect([await log.meshAt('prod', 0), await log.oldestRevision('prod')]).toEqual([undefined, 1]);
      expect([await log.revisionOf('prod', '"prod"'), await log.revisionOf('prod', '"pr\u00f6d"')]).toEqual([
        1,
        undefined,
      ]);
      expect(await log.append(1, network('next'))).toBe(true);
    });
  });
}

export function testLastingLog(name: string, open: () => Promise<Lasting>): void {
  testChangeLog(name, open);

  test(`the change log of ${name} has after its end what it had acknowledged`, async () => {
    const { log, reopen, close } = await open();
    onTestFinished(close);
    await log.append(0, network('prod'));
    await log.append(0, network('refused'));
    await log.record(audit);
    const before = await log.read();
    const again = await reopen();
    expect(await again.read()).toEqual(before);
    expect(await again.audit({ network: '', limit: 10, before: 10 })).toMatchObject([{ action: 'apply' }]);
    expect(await again.append(1, network('next'))).toBe(true);
  });
}
