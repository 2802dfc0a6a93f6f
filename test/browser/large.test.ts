/** The dashboard of 300 services on 50 hosts that tell of 2,000 flows a second. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { CrowdNetwork } from '../harness/crowd-network.ts';
import { planCrowd } from '../harness/crowd-traffic.ts';
import { createLocalLab, titled } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, signIn, tokenOf } from './operator.ts';

const plan = planCrowd(300, 50);

describe.skipIf(browserMissing)(titled('the dashboard of a large mesh', browserMissing), () => {
  const cleanup = new AsyncDisposableStack();
  let network: CrowdNetwork;
  let browser: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    const lab = cleanup.use(createLocalLab());
    const port = await freePort();
    const control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: port });
    network = cleanup.use(await CrowdNetwork.start(control, plan));
    browser = cleanup.use(await TestBrowser.launch({ width: 1_600, height: 1_000 }));
    page = await browser.page(`http://127.0.0.1:${port}`);
    network.talk(2_000);
    await signIn(page, tokenOf(control, 'read'));
  });
  afterAll(() => cleanup.disposeAsync());

  /** Where everything stands on the map, by what it is: the map's own coordinates. */
  async function places(): Promise<Record<string, string>> {
    return (await page.evaluate(`Object.fromEntries(
      [...document.querySelectorAll('svg [data-node]')].map((node) => [node.dataset.node, node.getAttribute('transform')]))`)) as Record<
      string,
      string
    >;
  }

  test('the map has every service, and nothing of it moves while the numbers do', async () => {
    await open(page, 'map');
    const map = page.getByRole('region', { name: 'Map of the mesh' });
    await page.getByText('300 services on 50 agents').waitFor();
    await map.getByText('web-not-rabbit').first().waitFor();
    // Every pair has been told of by now; the last of them may still have brought a line.
    await expect.poll(async () => Object.keys(await places()).length, { timeout: 20_000 }).toBeGreaterThan(300);
    const before = await places();
    // Two reports of every agent.
    await page.waitForTimeout(6_000);
    const after = await places();
    const moved = Object.keys(before).filter((key) => after[key] !== before[key]);
    expect(moved).toEqual([]);
    expect(await axe(page)).toEqual([]);
  });

  test('a service is found by name, and the table says what the map shows', async () => {
    await open(page, 'map');
    const map = page.getByRole('region', { name: 'Map of the mesh' });
    await expect.poll(async () => Object.keys(await places()).length).toBeGreaterThan(300);
    await map.getByRole('searchbox').fill('billing-postgres-3');
    await map.getByText(/^[12] found$/).waitFor();
    await page.keyboard.press('Enter');
    // Brought into sight, near enough to be read, and told of.
    await map.getByText(/^private · on host-\d{3} · 1 of 1 healthy/).waitFor();
    await map
      .locator('svg')
      .getByText(/^billing-po/)
      .first()
      .waitFor();
    await map.getByRole('button', { name: 'as a table' }).click();
    await map.getByRole('rowheader', { name: 'billing-postgres-3', exact: true }).waitFor();
    expect(await axe(page)).toEqual([]);
  });

  test('live flows say that they are a sample, and how large a part', async () => {
    await open(page, 'flows');
    await page
      .getByText(/\d[\d,]* of \d,\d{3}|sampl/i)
      .first()
      .waitFor();
    expect(await page.getByRole('row').count()).toBeLessThanOrEqual(201);
  });

  test('a host that vanishes is told of among fifty', async () => {
    await open(page, 'agents');
    network.leave('host-017');
    await page.getByRole('row', { name: /^host-017 (?:away|gone|not connected|disconnected|stale)/ }).waitFor();
  });

  test('the pages complained of nothing', () => {
    expect(browser.limitedLog).toEqual([]);
  });
});
