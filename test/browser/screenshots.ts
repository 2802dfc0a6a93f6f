/** Makes the pictures of docs/images anew: a real control and page, and a network of agents that only say what they would. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../examples/demo/ports.ts';
import { CrowdNetwork } from '../harness/crowd-network.ts';
import { type CrowdPlan, callsByRecorder } from '../harness/crowd-traffic.ts';
import { checkout, createLocalLab } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';
import { TestBrowser } from './browser.ts';
import { open, signIn, tokenOf } from './operator.ts';

const SERVICES = `
network: prod
services:
  shop:     { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  api:      { kind: web, ports: [8080], public: { port: 8080, hosts: [api.example.com] } }
  postgres: { kind: private, ports: [5432] }
  redis:    { kind: private, ports: [6379] }
  rabbit:   { kind: private, ports: [5672, 15672] }
  statsd:   { kind: private, ports: [8125/udp] }
  mailer:   { kind: worker }
  reports:  { kind: worker }
policies:
  - { name: no-admin-ui, action: deny, from: [shop], to: [rabbit], ports: [15672] }
  - { name: reports-read-replica, action: deny, from: [reports], to: [redis] }
`;
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'edge-1': [],
  'web-1': ['shop'],
  'web-2': ['shop', 'api'],
  'data-1': ['postgres', 'redis'],
  'data-2': ['rabbit', 'statsd', 'redis'],
  'jobs-1': ['mailer', 'reports'],
};
/** Caller, its host, service, its host, port; denied by a rule where one is named. */
const CALLS = [
  ['internet', 'edge-1', 'shop', 'web-1', 3000],
  ['internet', 'edge-1', 'shop', 'web-2', 3000],
  ['internet', 'edge-1', 'api', 'web-2', 8080],
  ['shop', 'web-1', 'api', 'web-2', 8080],
  ['shop', 'web-1', 'redis', 'data-1', 6379],
  ['shop', 'web-2', 'redis', 'data-2', 6379],
  ['api', 'web-2', 'postgres', 'data-1', 5432],
  ['api', 'web-2', 'rabbit', 'data-2', 5672],
  ['mailer', 'jobs-1', 'rabbit', 'data-2', 5672],
  ['reports', 'jobs-1', 'postgres', 'data-1', 5432],
  ['shop', 'web-1', 'rabbit', '', 15672, 'no-admin-ui'],
  ['reports', 'jobs-1', 'redis', '', 6379, 'reports-read-replica'],
] as const;

const plan: CrowdPlan = {
  mesh: SERVICES,
  services: [...new Set(Object.values(HOSTS).flat())],
  members: Object.entries(HOSTS).map(([host, services]) => ({
    host,
    services,
    ...(host.startsWith('edge') ? { gatewayAddress: '192.0.2.1:443' } : {}),
  })),
  calls: callsByRecorder(
    CALLS.map(([source, sourceHost, service, destinationHost, port, rule]) => ({
      source,
      sourceHost,
      service,
      destinationHost,
      port,
      rule,
    })),
  ),
};

const images = join(checkout, 'docs', 'images');
mkdirSync(images, { recursive: true });
await using lab = createLocalLab();
const port = await freePort();
const control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: port });
using network = await CrowdNetwork.start(control, plan);
network.talk(60);
for (const [suffix, dark] of [['', false] as const, ['-dark', true] as const]) {
  await using browser = await TestBrowser.launch({ width: 1_440, height: 900, dark });
  const page = await browser.page(`http://127.0.0.1:${port}`);
  await signIn(page, tokenOf(control, 'admin'));
  const denied = page.getByRole('list', { name: 'Denied attempts of the last minutes' });
  await denied.getByText('no-admin-ui').waitFor();
  await denied.getByText('reports-read-replica').waitFor();
  for (const view of dark ? ['map'] : ['map', 'services', 'flows', 'agents']) {
    await open(page, view);
    // Every agent has told of what moves, and what moves on the page has come to rest.
    await page.waitForTimeout(7_000);
    await page.screenshot({ path: join(images, `${view}${suffix}.png`) });
  }
}
