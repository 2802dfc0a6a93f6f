import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestDashboard, TOKENS } from './dashboard.fixture.ts';

const HOUR = 3_600_000;
let dashboard: TestDashboard;

beforeEach(async () => {
  dashboard = await TestDashboard.start();
});

afterEach(async () => {
  await dashboard.close();
});

const tryToken = (token: string, cookie?: string) =>
  dashboard.ask('/api/session', { method: 'POST', body: { token }, cookie });
const session = (cookie: string) => dashboard.ask('/api/session', { cookie });

describe('signing in', () => {
  test('gives a cookie that no script reads and no other site sends, and the role of the token', async () => {
    const response = await tryToken(`${TOKENS.read}\n`);
    expect(response.headers.get('set-cookie')).toMatch(
      /^weft_session_07070707=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(await response.json()).toEqual({
      role: 'read',
      expiresMs: dashboard.clock + HOUR,
      version: '1.2.3',
      networks: ['prod'],
    });
    expect(dashboard.audited).toMatchObject([{ action: 'sign-in', actor: 'read 127.0.0.1' }]);
  });

  test('ends the session that was there', async () => {
    const first = await dashboard.signIn('read');
    const second = await tryToken(TOKENS.admin, first);
    expect(await second.json()).toMatchObject({ role: 'admin' });
    expect((await session(first)).status).toBe(401);
  });

  test('with wrong tokens is refused, written down, and after ten a minute told to wait, while the right one passes', async () => {
    for (let tries = 0; tries < 10; tries += 1) {
      const response = await tryToken('wrong');
      expect(response.status).toBe(401);
      expect(response.headers.get('set-cookie')).toBeNull();
      expect(await response.json()).toMatchObject({ code: 'token-wrong' });
    }
    const response = await tryToken('wrong');
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ code: 'too-many-tries' });
    expect(dashboard.audited).toMatchObject([{ action: 'sign-in-refused', actor: 'nobody 127.0.0.1' }]);
    expect((await tryToken(TOKENS.admin)).status).toBe(200);
    dashboard.clock += 60_000;
    expect((await tryToken('wrong')).status).toBe(401);
    expect(dashboard.audited.filter(({ action }) => action === 'sign-in-refused').length).toBe(2);
  });

  test('goes on with a full disk, and the log has what the audit has not', async () => {
    dashboard.diskFull = true;
    expect((await tryToken('wrong')).status).toBe(401);
    const cookie = await dashboard.signIn('admin');
    expect((await session(cookie)).status).toBe(200);
    expect((await dashboard.ask('/api/session', { method: 'DELETE', cookie })).status).toBe(204);
    expect((await session(cookie)).status).toBe(401);
    const told = () => dashboard.log.split('\n').filter((line) => line.includes('"sign-in-not-recorded"'));
    expect(told().map((line) => JSON.parse(line))).toMatchObject([
      { action: 'sign-in', actor: 'admin 127.0.0.1' },
      { action: 'sign-out', actor: 'admin 127.0.0.1' },
    ]);
    expect(dashboard.log).toContain('"refusal-not-recorded"');
    for (let count = 0; count < 20; count += 1) await dashboard.signIn('read');
    expect(told().length).toBe(10);
  });
});

describe('a session', () => {
  test('ends an hour after its last use', async () => {
    const cookie = await dashboard.signIn('read');
    for (let uses = 0; uses < 3; uses += 1) {
      dashboard.clock += HOUR - 1;
      expect((await session(cookie)).status).toBe(200);
    }
    dashboard.clock += HOUR;
    expect(await (await session(cookie)).json()).toMatchObject({ code: 'signed-out' });
  });

  test('ends by signing out, which is written down, and the cookie with it', async () => {
    const cookie = await dashboard.signIn('admin');
    const response = await dashboard.ask('/api/session', { method: 'DELETE', cookie });
    expect(response.status).toBe(204);
    expect(response.headers.get('set-cookie')).toMatch(/^weft_session_07070707=; .*Expires=Thu, 01 Jan 1970/);
    expect((await session(cookie)).status).toBe(401);
    expect(dashboard.audited[0]).toMatchObject({ action: 'sign-out', actor: 'admin 127.0.0.1' });
    expect((await dashboard.ask('/api/session', { method: 'DELETE', cookie })).status).toBe(204);
  });

  test('ends though the clock is set back: idle, and in all', async () => {
    const idle = await dashboard.signIn('read');
    dashboard.clock -= 1_000 * HOUR;
    dashboard.monotonic += HOUR - 1;
    const used = await dashboard.signIn('admin');
    dashboard.monotonic += 1;
    expect((await session(idle)).status).toBe(401);
    for (let uses = 0; uses < 12; uses += 1) {
      const answer = await session(used);
      expect(answer.status).toBe(200);
      expect(((await answer.json()) as { expiresMs: number }).expiresMs).toBeLessThanOrEqual(dashboard.clock + HOUR);
      dashboard.monotonic += HOUR - 1;
    }
    dashboard.monotonic += HOUR - 1;
    expect((await session(used)).status).toBe(401);
  });

  test('of another control is none', async () => {
    await using other = await TestDashboard.start();
    expect((await session(await other.signIn('admin'))).status).toBe(401);
  });

  test('stands beside that of another control at the same name', async () => {
    await using other = await TestDashboard.start({ pin: 8 });
    const both = `${await dashboard.signIn('read')}; ${await other.signIn('admin')}`;
    expect(await (await session(both)).json()).toMatchObject({ role: 'read' });
    expect(await (await other.ask('/api/session', { cookie: both })).json()).toMatchObject({ role: 'admin' });
  });
});
