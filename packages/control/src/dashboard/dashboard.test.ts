import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Role } from './api.ts';
import { type Asked, TestDashboard, TOKENS } from './dashboard.fixture.ts';
import type { Access } from './guard.ts';
import { SECURITY_HEADERS } from './headers.ts';

interface Route extends Asked {
  readonly path: string;
  readonly access: Access;
}

const open = (path: string): Route => ({ method: 'GET', path, access: 'open' });
const read = (path: string): Route => ({ method: 'GET', path, access: 'read' });
const ROUTES: readonly Route[] = [
  open('/healthz'),
  open('/'),
  { path: '/api/session', method: 'POST', body: { token: TOKENS.read }, access: 'open' },
  read('/api/session'),
  read('/api/start'),
  { path: '/api/session', method: 'DELETE', access: 'open' },
];

let page: string;
let dashboard: TestDashboard;
const cookies: Partial<Record<Role, string>> = {};
const signIn = async (): Promise<void> => {
  for (const role of ['read', 'admin'] as const) cookies[role] = await dashboard.signIn(role);
};

beforeAll(async () => {
  page = mkdtempSync(join(tmpdir(), 'weft-page-'));
  mkdirSync(join(page, 'assets'));
  const script = '// '.padEnd(4_000, 'x');
  for (const [name, content] of [
    ['index.html', '<!doctype html><title>Weft</title>'],
    ['assets/index-abc123.js', script],
  ] as const) {
    writeFileSync(join(page, name), content);
    writeFileSync(join(page, `${name}.gz`), gzipSync(content));
    writeFileSync(join(page, `${name}.br`), brotliCompressSync(content));
  }
  dashboard = await TestDashboard.start({ page });
});

// Some of what is asked ends sessions.
beforeEach(signIn);

afterAll(async () => {
  await dashboard.close();
  rmSync(page, { recursive: true });
});

const failureOf = async (response: Response): Promise<{ code: string; message: string }> =>
  (await response.json()) as { code: string; message: string };

describe.each(ROUTES)('$method $path', ({ path, access, ...asked }) => {
  const ask = (more: Asked = {}) => dashboard.ask(path, { ...asked, ...more });
  const headers = async (response: Response): Promise<Response> => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) expect(response.headers.get(name)).toBe(value);
    expect(response.headers.get('cache-control')).toBe('no-store');
    await response.arrayBuffer();
    return response;
  };

  test('is for whom it is', async () => {
    const nobody = await ask();
    if (access !== 'open') expect(await failureOf(nobody.clone())).toMatchObject({ code: 'signed-out' });
    await headers(nobody);
    const reader = await ask({ cookie: cookies.read });
    expect(reader.status).toBeLessThan(300);
    await headers(reader);
    const actor = await ask({ cookie: cookies.admin });
    expect(actor.status).toBe(asked.method === 'DELETE' ? 204 : 200);
    await headers(actor);
  });

  test('is not served under another name', async () => {
    const answer = await raw(`${asked.method} ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 421 /);
    expect(answer).toContain("content-security-policy: default-src 'none'");
    expect(answer).toContain('"wrong-host"');
  });
});

describe.each(ROUTES.filter(({ method }) => method !== 'GET'))('$method $path', ({ path, access: _, ...asked }) => {
  test('is not taken from other sites', async () => {
    for (const wrong of [
      { 'x-weft-dashboard': '' },
      { 'x-weft-dashboard': '0' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
    ] as Record<string, string>[]) {
      const response = await dashboard.ask(path, { ...asked, cookie: cookies.admin, headers: wrong });
      expect(response.status).toBe(403);
      expect(await failureOf(response.clone())).toMatchObject({ code: 'cross-site' });
      expect(response.headers.get('content-security-policy')).toBe(SECURITY_HEADERS['content-security-policy']);
    }
    const own = { origin: `http://${dashboard.address}`, 'sec-fetch-site': 'same-origin' };
    expect((await dashboard.ask(path, { ...asked, headers: own })).status).not.toBe(403);
  });
});

/** fetch cannot lie about its Host, so this is written by hand. */
async function raw(text: string, { address }: TestDashboard = dashboard): Promise<string> {
  const [name = '', port] = address.split(':');
  const socket = connect(Number(port), name);
  await once(socket, 'connect');
  socket.write(text);
  let answer = '';
  for await (const piece of socket) answer += String(piece);
  return answer;
}

test('who says nothing is told nothing, for a browser that asks just then would take it for an answer; who stops in the midst is', async () => {
  await using soon = await TestDashboard.start({ silentMs: 500 });
  const [nothing, half] = await Promise.all([raw('', soon), raw('GET / HTTP/1.1\r\nHost: ', soon)]);
  expect(nothing).toBe('');
  expect(half).toMatch(/^HTTP\/1\.1 400 /);
});

test('what is not there, not well formed, or no HTTP at all is answered in the same words and with the same headers', async () => {
  const cases = [
    ['/nowhere', {}, 404, 'no-such-page'],
    ['/api/nowhere', { cookie: cookies.admin }, 404, 'no-such-page'],
    ['/api/session', { method: 'PUT' }, 405, 'wrong-method'],
    ['/', { method: 'POST' }, 405, 'wrong-method'],
    ['/api/start?port=70000', { cookie: cookies.admin }, 400, 'invalid'],
    ['/api/%zz', {}, 400, 'invalid'],
    ['/api/live?network=test', { cookie: cookies.admin }, 404, 'no-such-network'],
  ] as const;
  for (const [path, asked, status, code] of cases) {
    const response = await dashboard.ask(path, asked);
    expect([path, response.status]).toEqual([path, status]);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) expect(response.headers.get(name)).toBe(value);
    expect(await failureOf(response)).toMatchObject({ code });
  }
  expect((await dashboard.ask('/api/session', { method: 'PUT' })).headers.get('allow')).toBe('DELETE, GET, HEAD, POST');
  const rubbish = await raw('rubbish\r\n\r\n');
  expect(rubbish).toMatch(/^HTTP\/1\.1 400 /);
  expect(rubbish).toContain("content-security-policy: default-src 'none'");
  expect(await raw('GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /);
});

describe('bodies', () => {
  const post = (headers: Record<string, string>, body: string): Promise<Response> =>
    fetch(`http://${dashboard.address}/api/session`, {
      method: 'POST',
      headers: { 'x-weft-dashboard': '1', ...headers },
      body,
    });
  const JSON_TYPE = { 'content-type': 'application/json' };

  test.each([
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'token=a', 415, 'wrong-type'],
    ['plain text', { 'content-type': 'text/plain' }, '{"token":"a"}', 415, 'wrong-type'],
    ['too large', JSON_TYPE, JSON.stringify({ token: 'a'.repeat(20_000) }), 413, 'too-large'],
    ['no JSON', JSON_TYPE, '{', 400, 'not-json'],
    ['a prototype', JSON_TYPE, '{"__proto__":{"token":"a"}}', 400, 'not-json'],
    ['nothing', JSON_TYPE, '', 400, 'invalid'],
    ['a number', JSON_TYPE, '{"token":1}', 400, 'invalid'],
    ['something else too', JSON_TYPE, '{"token":"a","role":"admin"}', 400, 'invalid'],
  ])('that are %s are refused', async (_name, headers, body, status, code) => {
    const response = await post(headers, body);
    expect(response.status).toBe(status);
    expect(await failureOf(response)).toMatchObject({ code });
  });
});

describe('the page', () => {
  test('comes compressed as it was built, and its hashed files may be kept for ever', async () => {
    for (const [encoding, expected] of [
      ['br', 'br'],
      ['gzip', 'gzip'],
      ['identity', null],
    ] as const) {
      const headers = { 'accept-encoding': encoding };
      const index = await dashboard.ask('/', { headers });
      expect(index.headers.get('content-encoding')).toBe(expected);
      expect(index.headers.get('content-type')).toContain('text/html');
      expect(index.headers.get('cache-control')).toBe('no-store');
      expect(await index.text()).toContain('<title>Weft</title>');
      const script = await dashboard.ask('/assets/index-abc123.js', { headers });
      expect(script.headers.get('content-encoding')).toBe(expected);
      expect(script.headers.get('content-type')).toContain('javascript');
      expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(script.headers.get('content-security-policy')).toBe(SECURITY_HEADERS['content-security-policy']);
      expect((await script.text()).length).toBe(4_000);
    }
  });

  test('has nothing beside it', async () => {
    for (const path of ['/../dashboard.ts', '/%2e%2e/secret', '/assets/', '/.env', '/assets/..%2f..%2fx']) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: ${dashboard.address}\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer).toContain("content-security-policy: default-src 'none'");
    }
  });

  test('says what to do where it was not built', async () => {
    await using bare = await TestDashboard.start({ page: join(page, 'nowhere') });
    const response = await bare.ask('/');
    expect(response.status).toBe(503);
    expect(response.headers.get('content-security-policy')).toBe(SECURITY_HEADERS['content-security-policy']);
    expect(await response.text()).toContain('npm run build');
    expect((await bare.ask('/healthz')).status).toBe(200);
  });
});

test('nothing secret is logged of who signs in, and of who is refused', async () => {
  await using own = await TestDashboard.start({ page });
  const cookie = await own.signIn('admin');
  await own.ask('/api/session', { method: 'POST', body: { token: 'not-the-token' } });
  for (const secret of [cookie.split('=')[1] ?? '', TOKENS.admin, 'not-the-token']) {
    expect(own.log).not.toContain(secret);
  }
  expect(own.log).toContain('"signed-in"');
});
