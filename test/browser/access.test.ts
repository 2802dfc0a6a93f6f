/** Who gets in to the dashboard, what each may do there, and what a browser is left with. */
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, titled } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, signIn, tokenOf } from './operator.ts';

const MESH = `
network: prod
services:
  redis: { kind: private, ports: [6379] }
`;

describe.skipIf(browserMissing)(titled('signing in to the dashboard', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  let control: Control;
  let dashboard: string;
  let browser: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    const lab = cleanup.use(createLocalLab());
    const port = await freePort();
    control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: port });
    dashboard = `http://127.0.0.1:${port}`;
    browser = cleanup.use(await TestBrowser.launch());
  });
  afterAll(() => cleanup.disposeAsync());
  beforeEach(async () => {
    await browser.forget();
    page = await browser.page(dashboard);
  });
  afterEach(() => page.close());

  test('a fresh control teaches the three commands that bring up the first service', async () => {
    await signIn(page, tokenOf(control, 'admin'));
    const commands = page.getByRole('main').locator('pre, code');
    await page.getByText('weft apply').first().waitFor();
    await page.getByText('weft token create').first().waitFor();
    await page.getByText('weft up').first().waitFor();
    expect(await commands.count()).toBeGreaterThanOrEqual(3);
    expect(await page.getByRole('button', { name: /Copy/ }).count()).toBeGreaterThanOrEqual(3);
    expect(await axe(page)).toEqual([]);
    await control.apply(MESH);
  });

  test('a wrong token is refused in words, and the sign-in form is fit for everyone', async () => {
    await page.getByLabel('Token', { exact: true }).fill('weft-admin-nonsense');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/token/i);
    expect(await axe(page)).toEqual([]);
    expect(await browser.cookies()).toEqual([]);
  });

  test('who tries too often is told to wait, and the right token is taken all the same', async () => {
    for (let attempt = 0; attempt < 30; attempt += 1) {
      await page.getByLabel('Token', { exact: true }).fill(`weft-admin-${attempt}`);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
      if (/wait|too many/i.test((await page.getByRole('alert').textContent()) ?? '')) break;
    }
    expect(await page.getByRole('alert').textContent()).toMatch(/wait|too many/i);
    await signIn(page, tokenOf(control, 'admin'));
  });

  test('the session is a cookie that no script and no other site can use, and no address holds a secret', async () => {
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    const token = tokenOf(control, 'admin');
    await signIn(page, token);
    for (const view of ['services', 'tokens', 'audit', 'flows']) await open(page, view);
    const [cookie, ...others] = await browser.cookies();
    expect(others).toEqual([]);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' });
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage })')).not.toContain(token);
    const secrets = [token, cookie?.value ?? 'none'];
    expect(addresses.length).toBeGreaterThan(3);
    expect(addresses.filter((address) => secrets.some((secret) => address.includes(secret)))).toEqual([]);
  });

  test('the read token sees and does not act', async () => {
    await signIn(page, tokenOf(control, 'read'));
    await page.getByRole('link', { name: 'Services' }).waitFor();
    const views = page.getByRole('navigation', { name: 'Views' });
    expect(await views.getByRole('link').allTextContents()).toEqual(['Map', 'Services', 'Agents', 'Flows', 'Policy']);
    await open(page, 'tokens');
    await page.getByText(/admin/).first().waitFor();
    expect(await page.getByRole('button', { name: /Create a token/ }).count()).toBe(0);
    // Nor does what the page leaves out: the server decides.
    const refused = await page.evaluate(`Promise.all([
      ['ListTokens', {}],
      ['ListAudit', {}],
      ['RevokeAgent', { agent: 'ag_0000000000000000' }],
    ].map(([call, request]) => fetch('/weft.v1.AdminService/' + call, {
      method: 'POST',
      headers: { 'x-weft-dashboard': '1', 'content-type': 'application/json' },
      body: JSON.stringify(request),
    }))).then((answers) => answers.map(({ status }) => status))`);
    expect(refused).toEqual([403, 403, 403]);
  });

  test('another site cannot act with the session', async () => {
    await signIn(page, tokenOf(control, 'admin'));
    const order = { network: 'prod', ttl: '60s' };
    const attempts = await page.evaluate(`Promise.all([
      { headers: { 'content-type': 'application/json' } },
      { headers: { 'content-type': 'text/plain', 'x-weft-dashboard': '1' } },
    ].map((request) => fetch('/weft.v1.AdminService/CreateToken', { method: 'POST', body: ${JSON.stringify(JSON.stringify(order))}, ...request })))
      .then((answers) => answers.map(({ status }) => status >= 400 && status < 500))`);
    expect(attempts).toEqual([true, true]);
    expect(JSON.parse(await control.ok('token', 'list', '--json'))).toEqual({ version: 1, tokens: [] });
  });

  test('signing out ends the session for good', async () => {
    await signIn(page, tokenOf(control, 'admin'));
    const kept = await browser.cookies();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token', { exact: true }).waitFor();
    await browser.remember(kept);
    await page.reload();
    await page.getByLabel('Token', { exact: true }).waitFor();
  });

  test('the pages complained of nothing', () => {
    expect(browser.limitedLog).toEqual([]);
  });
});
