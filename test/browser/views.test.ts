/** Every view of the dashboard, in a real browser, on a small network of real programs with traffic in it. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { MockDashboard } from '../../packages/control/web/dev/mock.ts';
import { checkout, createLocalLab, titled } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, overflow, signIn, tokenOf } from './operator.ts';
import { Shop } from './shop.ts';

const VIEWS = ['map', 'services', 'services/store', 'agents', 'agents/data-1', 'flows', 'flows?mode=history', 'policy'];
const ADMIN_VIEWS = [...VIEWS, 'tokens', 'audit'];

describe.skipIf(browserMissing)(titled('the dashboard of a live mesh', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  let shop: Shop;
  let browser: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    shop = cleanup.use(await Shop.open());
    browser = cleanup.use(await TestBrowser.launch());
    shop.startTraffic();
    page = await browser.page(shop.dashboard);
    await signIn(page, shop.token('admin'));
  });
  afterAll(() => cleanup.disposeAsync());

  test('the map shows services by host, the one door, and a denied call with its rule', async () => {
    await open(page, 'map');
    const denied = page.getByRole('list', { name: 'Denied attempts of the last minutes' });
    await denied.getByText('no-admin-ui').waitFor();
    await denied.getByText(`store:${shop.ports.admin}`).waitFor();
    const map = page.getByRole('region', { name: 'Map of the mesh' });
    for (const text of ['web', 'store', 'mailer', 'data-1', 'web-1', 'jobs-1', 'edge-1', 'internet']) {
      await map.locator('svg').getByText(text, { exact: true }).filter({ visible: true }).first().waitFor();
    }
    // On the line itself, not in the list alone.
    await map.locator('.map-label-denied').getByText('no-admin-ui').first().waitFor();
    await map.getByRole('button', { name: 'as a table' }).click();
    const told = await map.textContent();
    expect(told).toMatch(/web\s+→?\s*store/);
    expect(told).toContain('no-admin-ui');
    expect(told).toContain('internet');
    await map
      .getByRole('button', { name: /table|map/ })
      .first()
      .click();
  });

  test('the map is walked with the keyboard alone', async () => {
    await open(page, 'map');
    const map = page.getByRole('region', { name: 'Map of the mesh' });
    await map.locator('svg').getByText('store', { exact: true }).filter({ visible: true }).first().waitFor();
    const list = page.getByRole('listbox', { name: /Map of the mesh/ });
    await list.focus();
    const seen = new Set<string>();
    // Left and right, up and down, through all of it: where things stand depends on which call was seen first.
    const around = ['ArrowLeft', 'ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowUp', 'ArrowLeft'];
    for (const key of [...around, 'ArrowDown', 'ArrowRight', 'ArrowDown', 'ArrowLeft', 'ArrowUp', 'ArrowRight']) {
      for (let step = 0; step < 3; step += 1) {
        await page.keyboard.press(key);
        seen.add((await list.getByRole('option').first().textContent()) ?? '');
      }
    }
    const told = [...seen].join('\n');
    for (const place of [/the internet/, /public door, open/, /store, private/, /web, web/, /mailer, worker/]) {
      expect(told).toMatch(place);
    }
  });

  test('a service tells its names, its instances, who may reach it, and why', async () => {
    await open(page, 'services');
    const row = page.getByRole('row', { name: /^store/ });
    await row.getByText('healthy').waitFor();
    await row.getByRole('link', { name: 'store', exact: true }).click();
    await page.getByRole('heading', { name: 'store', level: 1 }).waitFor();
    await page.getByText('store-discovery.internal').waitFor();
    const reach = page.getByRole('table', { name: 'Who may reach store' });
    const denial = reach.getByRole('row', { name: /^web denied .*no-admin-ui/ });
    await denial.getByRole('button', { name: /Why/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('no-admin-ui').first().waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await reach.getByRole('row', { name: /^internet denied/ }).waitFor();
    const now = page.getByRole('table', { name: 'Traffic of store now' });
    await now.getByRole('row', { name: /mailer → store/ }).waitFor();
  });

  test('agents tell their revision, tunnels, round trips, clock and when they were heard', async () => {
    await open(page, 'agents');
    for (const host of ['data-1', 'web-1', 'jobs-1', 'edge-1']) {
      await page.getByRole('row', { name: new RegExp(`^${host} connected .* ms`) }).waitFor();
    }
    await page.getByRole('link', { name: 'data-1' }).click();
    const tunnels = page.getByRole('table', { name: 'Tunnels of data-1' });
    const peer = tunnels.getByRole('row', { name: /^web-1 [\d.]+ ms/ });
    // Rates are of the time between two reports.
    await expect.poll(() => peer.textContent(), { timeout: 20_000 }).toMatch(/[1-9][\d.]* k?B\/s/);
  });

  test('flows come live, are filtered, wait while paused, and each tells its story', async () => {
    await open(page, 'flows');
    const table = page.getByRole('table', { name: /Live flows/ });
    await table
      .getByRole('row', { name: /mailer/ })
      .first()
      .waitFor();
    // When a flow ended and its verdict are never cut, however long its names are.
    const cut = `[...document.querySelectorAll('.flows tbody tr > :nth-child(-n+2)')].filter(
      (cell) => cell.scrollWidth > cell.clientWidth).length`;
    expect(await page.evaluate(cut)).toBe(0);
    await page.getByLabel('Verdict').selectOption('denied');
    await table
      .getByRole('row', { name: /no-admin-ui/ })
      .first()
      .waitFor();
    const rows = await table.getByRole('row').allInnerTexts();
    expect(rows.slice(1).length).toBeGreaterThan(0);
    expect(rows.slice(1).filter((row) => !row.includes('denied'))).toEqual([]);
    await page.getByRole('button', { name: 'Pause' }).click();
    const before = await table.getByRole('row').nth(1).textContent();
    await page
      .getByText(/[1-9]\d* (?:new|more|came|waiting|flows)/)
      .first()
      .waitFor();
    expect(await table.getByRole('row').nth(1).textContent()).toBe(before);
    await table.getByRole('link').first().click();
    const story = page.getByRole('dialog');
    await story.getByText('no-admin-ui').first().waitFor();
    expect(await story.textContent()).toMatch(/web-1/);
    await page.keyboard.press('Escape');
  });

  test('what was kept is charted and listed, filtered by text', async () => {
    await open(page, 'flows?mode=history');
    await page.getByRole('img', { name: /Flows that ended.*Denied: [1-9]/ }).waitFor();
    await page.getByLabel('Text').fill('no-admin');
    const kept = page.getByRole('table', { name: /Kept flows/ });
    await kept
      .getByRole('row', { name: /no-admin-ui/ })
      .first()
      .waitFor();
    await expect
      .poll(async () =>
        (await kept.getByRole('row').allInnerTexts()).slice(1).every((row) => row.includes('no-admin-ui')),
      )
      .toBe(true);
  });

  test('a stretch of the history is chosen with the keyboard alone', async () => {
    await open(page, 'flows?mode=history&span=15');
    const table = page.getByText('as a table', { exact: true }).first();
    await table.focus();
    await page.keyboard.press('Enter');
    await page
      .getByRole('button', { name: /: list only its flows$/ })
      .last()
      .focus();
    await page.keyboard.press('Enter');
    await page.getByText(/^Listed: /).waitFor();
    const from = Number(new URL(page.url().replace('#/', '')).searchParams.get('from'));
    expect(Date.now() - from).toBeLessThan(15 * 60_000);
    // And by its times, of which one is changed.
    const field = page.getByLabel('From time');
    const before = await field.inputValue();
    expect(new Date(before).getTime()).toBe(Math.floor(from / 1_000) * 1_000);
    await field.fill('2020-01-01T00:00:00');
    await page.getByText('Listed: 1 Jan 2020, 00:00:00 to ').waitFor();
    await page.getByRole('button', { name: 'All of the time' }).click();
  });

  test('the policy is shown, asked and compared', async () => {
    await open(page, 'policy');
    await page.getByText('name: no-admin-ui').waitFor();
    await page.getByLabel('From').fill('web');
    await page.getByLabel('To', { exact: true }).fill(`store:${shop.ports.admin}`);
    await page.getByRole('button', { name: 'What if?' }).click();
    await page.getByText('no-admin-ui denies web').first().waitFor();
    await page.getByLabel('From').fill('mailer');
    await page.getByLabel('To', { exact: true }).fill(`store:${shop.ports.store}`);
    await page.getByRole('button', { name: 'What if?' }).click();
    await page
      .getByText(/reachable, round trip|where the caller is/)
      .first()
      .waitFor();
  });

  test('an admin makes a token that is shown once, and ends it; the audit tells of both', async () => {
    await open(page, 'tokens');
    await page.getByRole('button', { name: /Create a token/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(/Services/).fill('store');
    await dialog.getByRole('button', { name: /^Create/ }).click();
    const shown = dialog.getByText(/weft_?[a-z]*[._-][\w-]{20,}|[\w-]{60,}/).first();
    await shown.waitFor();
    const token = ((await shown.textContent()) ?? '').trim();
    await page.keyboard.press('Escape');
    // The browser closes the dialog, and tells the page a moment later.
    await expect.poll(() => page.locator('body').textContent()).not.toContain(token);
    const listed = page.getByRole('row', { name: /^tk_\w+ (?:good|open|valid|unused|may be used|usable)/ }).first();
    await listed.waitFor();
    const id = /tk_[0-9a-f]{16}/.exec((await listed.textContent()) ?? '')?.[0] ?? '';
    await listed.getByRole('button', { name: /Revoke/ }).click();
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /Revoke/ })
      .click();
    await page.getByRole('row', { name: new RegExp(`^${id} revoked`) }).waitFor();
    await open(page, 'audit');
    for (const act of ['token-create', 'token-revoke']) {
      await page.getByRole('row', { name: new RegExp(`admin .*${act} token ${id}`) }).waitFor();
    }
    await page
      .getByRole('row', { name: /admin .*sign-in/ })
      .first()
      .waitFor();
  });

  describe.each(['light', 'dark'] as const)('%s', (scheme) => {
    test.each(ADMIN_VIEWS)('axe finds nothing on %s', async (view) => {
      await page.emulateMedia({ colorScheme: scheme });
      await open(page, view);
      // What a view asks control for has come.
      await page.waitForLoadState('networkidle').catch(() => undefined);
      expect(await axe(page)).toEqual([]);
    });
  });

  test.each([
    [360, 740],
    [768, 1_024],
    [3_840, 2_160],
  ])('nothing is wider than a window of %d px', async (width, height) => {
    await page.setViewportSize({ width, height });
    for (const view of ADMIN_VIEWS) {
      await open(page, view);
      expect([view, await overflow(page)]).toEqual([view, 0]);
    }
    expect(await axe(page)).toEqual([]);
    await page.setViewportSize({ width: 1_280, height: 800 });
  });

  test('the pages complained of nothing', () => {
    expect(browser.limitedLog).toEqual([]);
  });
});

describe.skipIf(browserMissing)(titled('the dashboard of a mesh that nobody joined', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  afterAll(() => cleanup.disposeAsync());

  test('goes on with the first steps where they stand, beside what there is', async () => {
    const lab = cleanup.use(createLocalLab());
    const port = await freePort();
    const control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: port });
    const browser = cleanup.use(await TestBrowser.launch());
    const page = await browser.page(`http://127.0.0.1:${port}`);
    await signIn(page, tokenOf(control, 'admin'));
    const steps = page.locator('.commands > li');
    await page.getByText('network: prod').waitFor();
    expect(await steps.count()).toBe(3);
    await control.apply('network: prod\nservices:\n  hello: { kind: private, ports: [8765] }\n');
    await page.getByRole('heading', { name: 'No agent has joined network prod yet' }).waitFor();
    await page.getByText('--network prod --services hello').waitFor();
    expect(await steps.count()).toBe(2);
    const map = page.getByRole('region', { name: 'Map of the mesh' });
    await map.locator('svg').getByText('hello', { exact: true }).filter({ visible: true }).first().waitFor();
    // A mesh of their own: its services, and no network beside it.
    await control.apply('network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\n');
    await page.getByText('redis: { targets: { 6379: "127.0.0.1:6379" } }').waitFor();
    for (const view of ['map', 'services', 'agents', 'flows']) {
      await open(page, view);
      await page.getByText('--network prod --services redis').waitFor();
      expect(await page.getByText('prod-2').count()).toBe(0);
      expect([view, await axe(page)]).toEqual([view, []]);
    }
    await open(page, 'services');
    await page.getByRole('row', { name: /^redis/ }).waitFor();
    expect(browser.limitedLog).toEqual([]);
  });
});

/** As long as names may be, without a place to break at. */
const LONG = {
  service: `s${'ervice'.repeat(8)}x`,
  host: `h${'ost'.repeat(20)}-1`,
  rule: `r${'ule'.repeat(19)}-1`,
};

describe.skipIf(browserMissing)(titled('the dashboard of a made-up mesh', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  let browser: TestBrowser;

  beforeAll(async () => {
    browser = cleanup.use(await TestBrowser.launch());
  });
  afterAll(() => cleanup.disposeAsync());

  async function mockOf(services: number, agents: number): Promise<MockDashboard> {
    const page = join(checkout, 'packages', 'control', 'dist', 'web');
    const mock = new MockDashboard({ services, agents, flowsPerSecond: 4, page });
    cleanup.defer(() => mock.close());
    return mock;
  }

  test('the longest names leave no window, and take nothing out of sight', async () => {
    const mock = await mockOf(6, 4);
    addLongNames(mock);
    const page = await browser.page(await mock.listen());
    await signIn(page, 'admin');
    const views = ['map', 'services', `services/${LONG.service}`, 'agents', `agents/${LONG.host}`, 'flows', 'audit'];
    for (const width of [360, 1_280]) {
      await page.setViewportSize({ width, height: 800 });
      for (const view of views) {
        await open(page, view);
        await page.waitForLoadState('networkidle').catch(() => undefined);
        expect([width, view, await overflow(page)]).toEqual([width, view, 0]);
        // Flows are a table on a phone too, which scrolls; all others are cards there.
        if (view === 'flows' && width === 360) continue;
        const hidden = `Math.max(0, ...[...document.querySelectorAll('.table-box')].map((box) => box.scrollWidth - box.clientWidth))`;
        expect([width, view, await page.evaluate(hidden)]).toEqual([width, view, 0]);
      }
    }
    await open(page, `services/${LONG.service}`);
    await page.getByText(`9.9/s denied by ${LONG.rule} (:15672)`).first().waitFor();
    await open(page, 'map');
    const labels = page.locator('.map-label-denied');
    await labels.first().waitFor();
    for (const text of await labels.allTextContents()) expect(text.length).toBeLessThanOrEqual(24);
    await page.close();
  });

  test('on a phone a flow shows its verdict and its rule', async () => {
    const mock = await mockOf(6, 4);
    const page = await browser.page(await mock.listen());
    await page.setViewportSize({ width: 360, height: 740 });
    await signIn(page, 'admin');
    await open(page, 'flows');
    const cells = page
      .getByRole('table', { name: /Live flows/ })
      .getByRole('row')
      .nth(1)
      .getByRole('cell');
    await cells.first().waitFor();
    expect(await cells.first().textContent()).toMatch(/allowed|denied/);
    for (const index of [0, 1]) {
      const { x, width } = (await cells.nth(index).boundingBox()) ?? { x: 0, width: 1_000 };
      expect(x + width).toBeLessThanOrEqual(360);
    }
    await page.close();
  });

  test('a gateway that is away leaves the door unknown, and an agent that is off is marked on its own page', async () => {
    const mock = await mockOf(2, 2);
    const page = await browser.page(await mock.listen());
    await page.setViewportSize({ width: 1_280, height: 800 });
    await signIn(page, 'admin');
    const door = page.locator('[data-node="door"]');
    await door.getByText('public door').waitFor();
    await page.getByText('All well', { exact: true }).waitFor();
    mock.send(mock.mesh.setAgent('edge-1', { connected: false }));
    await door.getByText('not known').waitFor();
    await page.getByText('Legend', { exact: true }).click();
    await page.getByText('door not known: its gateway is disconnected').waitFor();
    await open(page, 'services/web');
    await page.getByText('public, gateway disconnected').waitFor();
    mock.send(mock.mesh.setAgent('edge-1', { gatewayAddress: '' }));
    await page.getByText('public, no gateway yet').waitFor();
    mock.send(mock.mesh.setAgent('app-1', { clockSkewMs: -7_000, loopDelayMs: 900 }));
    await open(page, 'agents/app-1');
    for (const text of ['−7 s', '900 ms']) await page.locator('.badge-warn').getByText(text).waitFor();
    await page.getByText(/^12, for 1\d min$/).waitFor();
    await page.close();
  });

  test('what was well is not said to be when nothing comes any more', async () => {
    const mock = await mockOf(2, 2);
    const page = await browser.page(await mock.listen());
    await signIn(page, 'admin');
    await page.getByText('All well', { exact: true }).waitFor();
    mock.freeze();
    await page.getByText(/^All was well at \d\d:\d\d:\d\d$/).waitFor();
    expect(await page.getByText(/All well/).count()).toBe(0);
    expect(await axe(page)).toEqual([]);
    await page.close();
  });

  test('the pages complained of nothing', () => {
    expect(browser.limitedLog).toEqual([]);
  });
});

function addLongNames({ mesh }: MockDashboard): void {
  const { service, host, rule } = LONG;
  const [web, agent, pair] = [mesh.services.get('web'), mesh.agents.get('app-1'), mesh.traffic[0]];
  if (web === undefined || agent === undefined || pair === undefined) throw new Error('the made-up mesh is another');
  const problem = { host, code: 'port-taken', subject: `${service}:80`, message: `taken by ${service}` };
  mesh.agents.set(host, { ...agent, id: 'ag_long', host, services: [service], problems: [problem] });
  const instance = { ordinal: 0, host, address: '127.90.0.9', healthy: true, connected: true, notListening: [] };
  const names = [`${service}.internal`, `${service}-discovery.internal`];
  const door = { port: 3_000, hosts: [`${host}.example.com`] };
  mesh.services.set(service, {
    ...web,
    name: service,
    public: door,
    names,
    instances: [instance],
    problems: [problem],
  });
  const lastDenied = { port: 15_672, protocol: 'tcp', rule, revision: 3, atMs: Date.now() } as const;
  const rates = { openedPerSecond: 9.9, deniedPerSecond: 9.9, failedPerSecond: 0.4, lastDenied };
  mesh.traffic.push(
    { ...pair, ...rates, source: service, sourceHost: host },
    { ...pair, ...rates, service, destinationHost: host },
  );
  mesh.endFlows(50, 1_000);
}
