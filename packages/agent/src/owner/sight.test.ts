import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Knowable, sightHere, toldApart } from './sight.ts';

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true });
});

describe('the sight of an agent', () => {
  it.each([
    ['of an ordinary user', '0000000000000000', 'own'],
    ['that may bind low ports', '0000000000000400', 'own'],
    ['that may trace alone', '0000000000080000', 'own'],
    ['that may read all files alone', '0000000000000004', 'own'],
    ['that may do both', '0000000000080004', 'all'],
    ['of root', '000001ffffffffff', 'all'],
  ] as const)('%s', (_, effective, sight) => {
    const proc = mkdtempSync(join(tmpdir(), 'weft-sight-'));
    made.push(proc);
    mkdirSync(join(proc, 'self'));
    writeFileSync(join(proc, 'self', 'status'), `Name:\tnode\nCapEff:\t${effective}\n`);
    expect(sightHere(proc)).toBe(sight);
  });

  it('is its own where nothing tells', () => {
    expect(sightHere('/nowhere')).toBe('own');
  });
});

describe('services told apart', () => {
  const redis: Knowable = { name: 'redis', listens: true };
  const mailer: Knowable = { name: 'mailer', listens: false, match: { user: 'mailer' } };
  const web: Knowable = { name: 'web', listens: true, match: { unit: 'web' } };
  const cron: Knowable = { name: 'cron', listens: false };
  it.each([
    ['all that can be known where all is seen', [redis, mailer, web, cron], 'all', ['redis', 'mailer', 'web']],
    ['by user alone where only that is seen', [redis, mailer, cron], 'own', ['mailer']],
    ['none by user where another of that user may fit more', [mailer, web], 'own', []],
    [
      'by users where what more is asked is of another',
      [mailer, { ...web, match: { user: 'web', unit: 'web' } }],
      'own',
      ['mailer'],
    ],
  ] as const)('%s', (_, services, sight, names) => {
    expect([...toldApart(services, sight)]).toEqual(names);
  });
});
