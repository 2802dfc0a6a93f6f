/** Every view of the dashboard, in a real browser, on a small network of real programs with traffic in it. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../harness/host.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, overflow, signIn } from './operator.ts';
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
    // The page puts the address right once it hears that the dialog has closed, and would take back where the next test goes.
    await expect.poll(() => page.url()).not.toMatch(/[?&]id=/);
  });

  test('what was kept is charted and listed, filtered by text', async () => {
    await open(page, 'flows?mode=history');
    // It shows what was kept when it was asked, and records take their time to get there.
    await expect
      .poll(
        async () => {
          await page.getByRole('button', { name: 'Up to now' }).click();
          return (await page.getByRole('img', { name: /Flows that ended/ }).getAttribute('aria-label')) ?? '';
        },
        { timeout: 30_000, interval: 500 },
      )
      .toMatch(/Denied: [1-9]/);
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
    await page.getByText('mesh-1.yaml:8', { exact: true }).waitFor();
    await page.getByText(/^admin 127\.0\.0\.1, .*, revision \d+$/).waitFor();
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
    await dialog.getByLabel(/Services/).fill('store, stoer');
    await dialog.getByRole('button', { name: /^Create/ }).click();
    const shown = dialog.getByText(/weft_?[a-z]*[._-][\w-]{20,}|[\w-]{60,}/).first();
    await shown.waitFor();
    await dialog.getByText('the mesh declares no service stoer yet').waitFor();
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
