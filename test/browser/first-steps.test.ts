/** What the dashboard shows before any agent joined. */
import { afterAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, titled } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';
import { axe, browserMissing, TestBrowser } from './browser.ts';
import { open, signIn, tokenOf } from './operator.ts';

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
