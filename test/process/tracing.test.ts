/** Real programs with an OpenTelemetry collector: spans of all threads, sent before the end, which a collector that is away does not hold up. */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { Collector } from '../harness/collector.ts';
import { createLocalLab, type Lab } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const CALLS = 12;

const cleanup = new AsyncDisposableStack();
let lab: Lab;
let control: Control;
let collector: Collector;
let target: number;

beforeAll(async () => {
  collector = await Collector.start();
  cleanup.defer(() => collector.close());
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.endpoint);
  // Long enough that nothing is sent before the end.
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '600000');
  lab = cleanup.use(createLocalLab());
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.defer(() => void server.close());
  target = (server.address() as net.AddressInfo).port;
  control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: await freePort() });
});

afterAll(async () => {
  await cleanup.disposeAsync();
  vi.unstubAllEnvs();
});

/** Two threads that serve echo to their own host; answers when so many calls have been answered. */
async function serve(name: string): Promise<Agent> {
  const port = await freePort();
  await control.apply(`{ network: ${name}, services: { echo: { kind: private, ports: [${port}] } } }`);
  const host = await lab.host(name);
  const token = await control.ok('token', 'create', '--network', name, '--host', name, '--services', 'echo');
  const shared = { tunnel: await freePort(), dns: await freePort(), range: freeRange() };
  const config = `services: { echo: { targets: { ${port}: "127.0.0.1:${target}" } } }`;
  const agent = await Agent.start(host, { token, config, shared, args: ['--workers', '2'] });
  const vip = await vipOf(agent);
  for (let call = 0; call < CALLS; call++) {
    const socket = net.connect(port, vip);
    socket.write('hello');
    await once(socket, 'data');
    socket.destroy();
  }
  return agent;
}

/** Its exit code, after it was asked to stop. */
async function ended(program: Process): Promise<number | null> {
  program.signal('SIGTERM');
  return (await program.finished(6_000)).code;
}

interface Status {
  readonly names: readonly { readonly name: string; readonly address: string; readonly healthy: number }[];
}

async function vipOf(agent: Agent): Promise<string> {
  const { names } = await until(
    'echo is healthy',
    () => agent.status<Status>(),
    (status) => status.names.some(({ name, healthy }) => name === 'echo.internal' && healthy === 1),
    SETTLED_MS,
  );
  return names.find(({ name }) => name === 'echo.internal')?.address ?? '';
}

test('every thread of an agent has sent its spans when it ends', async () => {
  const agent = await serve('near');
  expect(collector.spans).toEqual([]);
  expect(await ended(agent.process)).toBe(0);
  const flows = collector.spans.filter(({ name }) => name === 'weft.flow.connect');
  expect(flows).toHaveLength(CALLS);
  expect(new Set(flows.map(({ traceId }) => traceId)).size).toBe(CALLS);
  for (const { service, values } of flows) {
    expect([service, values['weft.outcome'], values['weft.network']]).toEqual(['weft-agent', 'open', 'near']);
  }
});

test('a collector that is away holds up neither calls nor the end', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${await freePort()}`);
  const agent = await serve('far');
  expect(await ended(agent.process)).toBe(0);
  expect(agent.process.stderr).toContain('"trace-export-failed"');
});

test('control has sent its spans when it ends', async () => {
  expect(await ended(control.process)).toBe(0);
  const names = new Set(collector.spans.map(({ name }) => name));
  for (const method of [
    'AdminService/Apply',
    'AdminService/CreateToken',
    'AgentService/Join',
    'AgentService/Connect',
  ]) {
    expect(names).toContain(`weft.v1.${method}`);
  }
});
