import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Store } from '../store/store.ts';
import { openAuditLog } from './log.ts';
import { openRefusalAudit } from './refusals.ts';
import type { AuditEntry, AuditLog } from './types.ts';

const logger = pino({ level: 'silent' });
let clock: number;
let audit: AuditLog;

beforeEach(() => {
  clock = 1_000;
  audit = openAuditLog({ store: Store.inMemory(), now: () => clock });
});

const entry = (rest: Partial<AuditEntry> = {}): Omit<AuditEntry, 'sequence' | 'atMs'> => ({
  actor: 'admin 10.0.0.7',
  action: 'sign-in',
  network: '',
  subject: '',
  revision: 0,
  detail: '',
  ...rest,
});
const all = (): Promise<readonly AuditEntry[]> => audit.list({ network: '', limit: 20_000 });

test('entries come newest first, by network, and page by page', async () => {
  for (const network of ['prod', 'stage', 'prod', 'prod']) {
    await audit.record(entry({ network }));
    clock += 1;
  }
  const sequences = async (query: Parameters<AuditLog['list']>[0]): Promise<number[]> =>
    (await audit.list(query)).map(({ sequence }) => sequence);
  expect((await all())[0]).toEqual({
    ...entry({ network: 'prod' }),
    sequence: 4,
    atMs: 1_003,
  });
  expect(await sequences({ network: '', limit: 10 })).toEqual([4, 3, 2, 1]);
  expect(await sequences({ network: 'prod', limit: 2 })).toEqual([4, 3]);
  expect(await sequences({ network: 'prod', limit: 2, before: 3 })).toEqual([1]);
  // Whoever signed in may look at every network.
  await audit.record(entry());
  expect(await sequences({ network: 'stage', limit: 10 })).toEqual([5, 2]);
});

test('at most 10,000 are kept, the oldest go, and what is refused cannot push out who did what', async () => {
  for (let n = 1; n <= 60; n++) await audit.record(entry({ subject: `act ${n}` }));
  for (let n = 0; n < 10_500; n++) await audit.record(entry({ action: 'sign-in-refused', actor: 'nobody 10.0.0.9' }));
  const acts = (await all()).filter(({ action }) => action === 'sign-in');
  expect([acts.length, (await all()).length <= 60 + 1_000]).toEqual([60, true]);
  for (let n = 61; n <= 10_500; n++) await audit.record(entry({ subject: `act ${n}` }));
  const kept = await all();
  expect(kept.length).toBeLessThanOrEqual(10_000);
  expect(kept.length).toBeGreaterThan(9_700);
  expect(kept[0]).toMatchObject({ subject: 'act 10500', sequence: 21_000 });
  const subjects = kept.filter(({ action }) => action === 'sign-in').map(({ subject }) => subject);
  expect(subjects).toEqual(subjects.map((_, index) => `act ${10_500 - index}`));
});

test('what a stranger makes long is cut', async () => {
  await audit.record(entry({ detail: 'x'.repeat(100_000) }));
  expect((await all())[0]?.detail).toHaveLength(500);
});

test('refused calls are few, from however many addresses they come', async () => {
  const refusals = openRefusalAudit({ audit, now: () => clock, logger });
  for (let n = 0; n < 500; n++) refusals.note({ role: 'nobody', address: `10.0.${n >> 8}.${n & 255}` }, 'Apply');
  expect(await all()).toHaveLength(20);
  clock += 60_000;
  for (let n = 0; n < 5; n++) refusals.note({ role: 'read', address: '10.0.0.1' }, 'Apply');
  expect(await all()).toHaveLength(21);
  expect((await all())[0]).toMatchObject({
    actor: 'read 10.0.0.1',
    action: 'call-refused',
    subject: 'Apply',
  });
});

test('refused sign-ins count towards the same bound, and are not hidden by a refused call', async () => {
  const refusals = openRefusalAudit({ audit, now: () => clock, logger });
  refusals.note({ role: 'read', address: '10.0.0.1' }, 'Apply');
  for (let n = 0; n < 5; n++) refusals.noteSignIn('10.0.0.1');
  expect(await all()).toHaveLength(2);
  expect((await all())[0]).toMatchObject({
    actor: 'nobody 10.0.0.1',
    action: 'sign-in-refused',
    subject: 'dashboard',
  });
  for (let n = 0; n < 500; n++) refusals.noteSignIn(`10.1.${n >> 8}.${n & 255}`);
  expect(await all()).toHaveLength(20);
});

test('a refusal that cannot be written down is no more than that', async () => {
  const record = async (): Promise<never> => {
    throw new Error('disk full');
  };
  const refusals = openRefusalAudit({ audit: { record }, now: () => clock, logger });
  expect(() => refusals.note({ role: 'nobody', address: '10.0.0.1' }, 'Apply')).not.toThrow();
  // A rejection that nobody handles fails the run.
  await new Promise((resolve) => setImmediate(resolve));
});
