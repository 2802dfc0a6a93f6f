import { beforeEach, expect, test } from 'vitest';
import { Sessions } from './sessions.ts';

const HOUR = 3_600_000;
let clock: number;
let sessions: Sessions;

beforeEach(() => {
  clock = 1_700_000_000_000;
  sessions = new Sessions(() => clock, { each: 3, idleMs: HOUR, absoluteMs: 12 * HOUR });
});

test('a session is found by its secret, and by nothing else', () => {
  const { secret, session } = sessions.open('read');
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(sessions.find(secret)).toBe(session);
  expect(sessions.find(`${secret.slice(0, -1)}~`)).toBeUndefined();
  expect(sessions.find(undefined)).toBeUndefined();
  expect(sessions.open('read').secret).not.toBe(secret);
});

test('it is over when nobody used it for an hour, and its end is told', () => {
  const { secret, session } = sessions.open('admin');
  clock += HOUR - 1;
  expect(sessions.find(secret)).toBe(session);
  clock += HOUR;
  expect(session.ended.aborted).toBe(false);
  expect(sessions.find(secret)).toBeUndefined();
  expect(session.ended.aborted).toBe(true);
});

test('it is over twelve hours after it began, however much it is used', () => {
  const { secret, session } = sessions.open('admin');
  for (let minutes = 0; minutes < 12 * 60; minutes += 30) {
    expect(sessions.use(session)).toBe(true);
    clock += HOUR / 2;
  }
  expect(sessions.use(session)).toBe(false);
  expect(sessions.find(secret)).toBeUndefined();
});

test('the oldest of a role makes room for the newest, and no other role does', () => {
  const admin = sessions.open('admin');
  const [first, second, third] = [sessions.open('read'), sessions.open('read'), sessions.open('read')];
  const fourth = sessions.open('read');
  expect(first.session.ended.aborted).toBe(true);
  for (const { secret, session } of [admin, second, third, fourth]) expect(sessions.find(secret)).toBe(session);
});

test('one that is ended, or all of them, are found no more', () => {
  const [one, other] = [sessions.open('admin'), sessions.open('admin')];
  sessions.end(one.session);
  expect(sessions.find(one.secret)).toBeUndefined();
  expect(sessions.find(other.secret)).toBe(other.session);
  sessions.close();
  expect(other.session.ended.aborted).toBe(true);
  expect(sessions.find(other.secret)).toBeUndefined();
});
