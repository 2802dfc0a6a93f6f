/** What the page shows while things change and break: a rule, an agent killed, the way to control cut, control itself. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../harness/host.ts';
import { Relay } from '../harness/relay.ts';
import { browserMissing, TestBrowser } from './browser.ts';
import { open, signIn } from './operator.ts';
import { Shop } from './shop.ts';

describe.skipIf(browserMissing)(titled('the dashboard while things change', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  let shop: Shop;
  let relay: Relay;
  let browser: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    shop = cleanup.use(await Shop.open());
    shop.startTraffic();
    relay = await Relay.start({ target: { host: '127.0.0.1', port: Number(new URL(shop.dashboard).port) } });
    cleanup.defer(() => relay.close());
    browser = cleanup.use(await TestBrowser.launch());
    page = await browser.page(`http://127.0.0.1:${relay.port}`);
    await signIn(page, shop.token('admin'));
  });
  afterAll(() => cleanup.disposeAsync());

  test('a rule that is applied shows on the map as a denied call that names it, and goes when it is taken back', async () => {
    await open(page, 'map');
    const denied = page.getByRole('list', { name: 'Denied attempts of the last minutes' });
    await denied.getByText('no-admin-ui').waitFor();
    await shop.apply('  - { name: no-mail, action: deny, from: [mailer], to: [store] }\n');
    await denied.getByText('no-mail').waitFor();
    await open(page, 'policy');
    await page.getByText('name: no-mail').waitFor();
    await page.getByRole('group').filter({ hasText: '1 change' }).first().click();
    await page.getByRole('listitem').getByText('policy no-mail').first().waitFor();
    await open(page, 'services/store');
    const reach = page.getByRole('table', { name: 'Who may reach store' });
    await reach.getByRole('row', { name: /^mailer denied .*no-mail/ }).waitFor();
    await shop.apply('');
    await open(page, 'services');
    await open(page, 'services/store');
    await reach.getByRole('row', { name: /^mailer allowed/ }).waitFor();
  });

  test('an agent that is killed stands out within seconds, and is well again when it is back', async () => {
    await open(page, 'agents');
    await page.getByRole('row', { name: /^data-1 connected/ }).waitFor();
    await shop.agent('data-1').process.kill();
    await page.getByRole('row', { name: /^data-1 (?:away|gone|not connected|disconnected|stale)/ }).waitFor();
    const attention = page.getByRole('button', { name: /need/ });
    await attention.click();
    await page
      .getByRole('link', { name: /data-1/ })
      .first()
      .waitFor();
    await page.keyboard.press('Escape');
    await open(page, 'services');
    await page.getByRole('row', { name: /^store .*(?:0 of 1|no healthy|unhealthy|down)/ }).waitFor({ timeout: 50_000 });
    await shop.agent('data-1').restart();
    await page.getByRole('row', { name: /^store .* 1 of 1 up/ }).waitFor();
    await open(page, 'agents');
    await page.getByRole('row', { name: /^data-1 connected/ }).waitFor();
  });

  test('when the way to control is cut the page says how old it is, and catches up by itself', async () => {
    await open(page, 'agents');
    await page.getByText('Live', { exact: true }).waitFor();
    relay.stall();
    relay.cut();
    const banner = page.getByText(/Data is from \d\d:\d\d:\d\d/);
    await banner.first().waitFor();
    await shop.agent('jobs-1').process.kill();
    await page.getByRole('row', { name: /^jobs-1 connected/ }).waitFor();
    relay.unstall();
    // What was swallowed meanwhile will never be answered.
    relay.cut();
    await banner.first().waitFor({ state: 'hidden' });
    await page.getByRole('row', { name: /^jobs-1 (?:away|gone|not connected|disconnected|stale)/ }).waitFor();
    await shop.agent('jobs-1').restart();
    await page.getByRole('row', { name: /^jobs-1 connected/ }).waitFor();
  });

  test('control is killed: the page says so, asks to sign in when it is back, and returns to the same view', async () => {
    await open(page, 'services/store');
    await page.getByRole('heading', { name: 'store', level: 1 }).waitFor();
    await shop.control.process.kill();
    await page
      .getByText(/Data is from \d\d:\d\d:\d\d/)
      .first()
      .waitFor();
    await shop.control.restart();
    await page.getByLabel('Token', { exact: true }).waitFor();
    await signIn(page, shop.token('read'));
    await page.getByRole('heading', { name: 'store', level: 1 }).waitFor();
    expect(page.url()).toContain('#/services/store');
    // The history outlives control.
    await open(page, 'flows?mode=history');
    await page.getByRole('img', { name: /Flows that ended.*Allowed: [1-9]/ }).waitFor();
  });

  test('the pages complained of nothing', () => {
    expect(browser.limitedLog).toEqual([]);
  });
});
