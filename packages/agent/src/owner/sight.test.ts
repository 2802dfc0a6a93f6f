import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Knowable, missingHere, tellings } from './sight.ts';

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true });
});

describe('what an agent would need to see more', () => {
  it.each([
    ['of an ordinary user', '0000000000000000', 'CAP_SYS_PTRACE CAP_DAC_READ_SEARCH'],
    ['that may bind low ports', '0000000000000400', 'CAP_SYS_PTRACE CAP_DAC_READ_SEARCH'],
    ['that may trace alone', '0000000000080000', 'CAP_DAC_READ_SEARCH'],
    ['that may read all files alone', '0000000000000004', 'CAP_SYS_PTRACE'],
    ['that may do both', '0000000000080004', ''],
    ['of root', '000001ffffffffff', ''],
  ] as const)('%s', (_, effective, missing) => {
    const proc = mkdtempSync(join(tmpdir(), 'weft-sight-'));
    made.push(proc);
    mkdirSync(join(proc, 'self'));
    writeFileSync(join(proc, 'self', 'status'), `Name:\tnode\nCapEff:\t${effective}\n`);
    expect(missingHere(proc).join(' ')).toBe(missing);
  });

  it('is both where nothing tells', () => {
    expect(missingHere('/nowhere')).toHaveLength(2);
  });
});

describe('services told apart', () => {
  const numbers: Readonly<Record<string, number>> = { daemon: 1, mailer: 25, web: 33, 1: 1, agent: 900 };
  const users = { numberOf: (name: string) => numbers[name], self: 900 };
  const redis: Knowable = { name: 'redis', listens: true };
  const mailer: Knowable = { name: 'mailer', listens: false, match: { user: 'mailer' } };
  const web: Knowable = { name: 'web', listens: true, match: { unit: 'web' } };
  const cron: Knowable = { name: 'cron', listens: false };
  const of = (name: string, match: Knowable['match']): Knowable => ({ name, listens: false, match });
  it.each([
    ['all that can be known where all is seen', [redis, mailer, web, cron], 'all', 'told told told unseen'],
    ['by user alone where only that is seen', [redis, mailer, cron], 'own', 'own told unseen'],
    ['none by user where another of that user may fit more', [mailer, web], 'own', 'unseen own'],
    [
      'by users where what more is asked is of another',
      [mailer, of('web', { user: 'web', unit: 'web' })],
      'own',
      'told unseen',
    ],
    [
      'by units where sockets tell them',
      [mailer, of('one', { user: 'web', unit: 'a' }), web],
      'units',
      'told told told',
    ],
    ['by units, and by groups where they tell all', [of('one', { unit: 'a', cgroup: '/b' }), web], 'units', 'own own'],
    ['by groups', [of('one', { user: 'web', cgroup: '/b' }), web], 'groups', 'told told'],
    ["of the agent's own user, what more is asked", [of('one', { user: 'agent', unit: 'a' })], 'own', 'own'],
    ['none of two that are alike', [mailer, of('post', { user: 'mailer' })], 'all', 'alike alike'],
    [
      'none that is a part of another, by whatever name of the user and the unit',
      [of('one', { user: '1' }), of('two', { user: 'daemon', unit: 'two' }), of('three', { unit: 'two.service' })],
      'all',
      'told alike told',
    ],
    ['none of a user that is not there', [of('one', { user: 'nobody-there' }), mailer], 'all', 'no-user told'],
    [
      'others beside one of a user that is not there',
      [of('one', { user: 'gone', unit: 'x' }), mailer],
      'own',
      'no-user told',
    ],
  ] as const)('%s', (_, services, sight, words) => {
    expect([...tellings(services, sight, users).values()].join(' ')).toBe(words);
  });
});
