/** What no small live mesh shows: the longest names, a phone, a gateway that is away, silence. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MockDashboard } from '../../packages/control/web/dev/mock.ts';
import { checkout, titled } from '../harness/host.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, overflow, signIn } from './operator.ts';

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

  test('who cannot keep a revocation is told by name', async () => {
    const page = await browser.page(await (await mockOf(2, 2)).listen());
    await signIn(page, 'admin');
    await open(page, 'tokens');
    await page.getByRole('button', { name: 'Revoke tok-2' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
    const told = page.getByRole('dialog', { name: 'tok-2 is revoked' });
    await told.getByText(/not kept by: app-2\./).waitFor();
    expect(await axe(page)).toEqual([]);
    await told.getByRole('button', { name: 'Done' }).click();
    await told.waitFor({ state: 'hidden' });
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
