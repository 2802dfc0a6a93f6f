/** Who comes to the API by way of the page's port, as a browser and as a program. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestDashboard } from './dashboard.fixture.ts';

let dashboard: TestDashboard;
let cookie = '';
const PATH = '/weft.v1.AdminService/GetStatus';

beforeAll(async () => {
  dashboard = await TestDashboard.start();
  cookie = await dashboard.signIn('read');
});
afterAll(() => dashboard.close());
beforeEach(() => {
  dashboard.calls.served.length = 0;
});

/** The session that the call was served for: its role, or none; 'refused' when it was not served. */
async function served(headers: Record<string, string>): Promise<string> {
  const response = await dashboard.ask(PATH, { method: 'POST', body: {}, headers });
  await response.text();
  const [one = 'refused'] = dashboard.calls.served.map((session) => session?.role ?? 'nobody');
  return one;
}

test('a session is one with its cookie and the header that no other site can send', async () => {
  expect(await served({ cookie })).toBe('read');
});

test('a page whose session is over is told to sign in, and is not taken for who guesses tokens', async () => {
  const response = await dashboard.ask(PATH, { method: 'POST', body: {}, cookie: 'weft=gone' });
  expect([response.status, await response.json()]).toMatchObject([401, { code: 'signed-out' }]);
  expect(dashboard.calls.served).toEqual([]);
});

test('the cookie alone counts for nothing', async () => {
  expect(await served({ cookie, 'x-weft-dashboard': '0' })).toBe('nobody');
});

test('a program comes without either', async () => {
  expect(await served({ authorization: 'Bearer x', 'x-weft-dashboard': '' })).toBe('nobody');
});

test.each([
  ['of another origin', { origin: 'https://elsewhere.example' }],
  ['that its browser says is of another site', { 'sec-fetch-site': 'cross-site' }],
  ['of another port of this host', { 'sec-fetch-site': 'same-site' }],
  ['of no origin', { origin: 'null' }],
])('a call %s is not served, whatever it brings', async (_name, headers: Record<string, string>) => {
  expect(await served({ ...headers, cookie, authorization: 'Bearer x' })).toBe('refused');
});

test('nobody else may read an answer, frame it, or ask whether they may', async () => {
  const { headers } = await dashboard.ask(PATH, { method: 'POST', body: {} });
  expect(headers.get('access-control-allow-origin')).toBeNull();
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('cache-control')).toBe('no-store');
});

test.each([
  ['GET', PATH],
  ['PUT', PATH],
  ['DELETE', `${PATH}?network=prod`],
  ['GET', '/weft.v1.AgentService/Join'],
  ['POST', '/grpc.health.v1.Health/Check'],
] as const)('%s %s is for who serves calls to refuse, and has no session', async (method, path) => {
  const response = await dashboard.ask(path, { method, cookie, headers: { authorization: 'Bearer x' } });
  expect([await response.text(), response.headers.get('x-content-type-options')]).toEqual(['served', 'nosniff']);
  expect(dashboard.calls.served).toEqual([undefined]);
});

test.each(['/weft.v1.AdminService', '/assets.x/y', '/Api/x'])('%s is of no call', async (path) => {
  expect((await dashboard.ask(path)).status).toBe(404);
  expect(dashboard.calls.served).toEqual([]);
});

test('a body of any type and length is for who serves the call to judge', async () => {
  const body = 'x'.repeat(100_000);
  const response = await fetch(`http://${dashboard.address}${PATH}`, { method: 'POST', body });
  expect(await response.text()).toBe('served');
});
