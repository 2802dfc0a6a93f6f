import type { PairTraffic, Telemetry } from '@weft/proto';
import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { AgentTelemetry } from '../../packages/agent/src/observe/telemetry.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

const MESH =
  'services:\n' +
  '  redis: { kind: private, ports: [6379, 6380, 6381] }\n' +
  'policies:\n' +
  '  - { name: no-admin, action: deny, from: [redis, "host:near"], to: [redis], ports: [6381] }\n';

const telemetryMs = 50;
const told: Telemetry[] = [];
let mesh: Mesh;
let near: Agent;
let far: Agent;
let program: TcpProgram;

beforeAll(async () => {
  // What is told to control, on its way.
  const take = AgentTelemetry.prototype.take;
  vi.spyOn(AgentTelemetry.prototype, 'take').mockImplementation(async function (this: AgentTelemetry) {
    const telemetry = await take.call(this);
    told.push(telemetry);
    return telemetry;
  });
  const giveBack = AgentTelemetry.prototype.giveBack;
  vi.spyOn(AgentTelemetry.prototype, 'giveBack').mockImplementation(function (this: AgentTelemetry, telemetry) {
    told.splice(told.indexOf(telemetry), 1);
    giveBack.call(this, telemetry);
  });
  mesh = await Mesh.start(MESH);
  program = await echo();
  const services = { redis: { 6379: program.port, 6380: 9, 6381: program.port } };
  far = await mesh.agent('far', { services, telemetryMs, workers: 2, controlRelay: true });
  near = await mesh.agent('near', { telemetryMs });
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
  vi.restoreAllMocks();
});

function sums(fits: (pair: PairTraffic) => boolean = () => true) {
  const sum = { opened: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
  for (const pair of told.flatMap(({ pairs }) => pairs).filter(fits)) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += pair[name];
  }
  return sum;
}

async function calls(agent: Agent, count: number): Promise<void> {
  for (let call = 0; call < count; call++) {
    const good = await agent.connect('redis', 6379);
    await says(good, 'hello');
    good.end();
    await ending(good);
    await ending(await agent.connect('redis', 6380));
    await ending(await agent.connect('redis', 6381));
  }
}

test('what all agents tell is what happened: each flow once, across threads and a break of the link to control', async () => {
  await calls(near, 10);
  await calls(far, 5);
  far.controlRelay.cut();
  await calls(near, 5);
  const records = await mesh.recorded('redis', 60);
  const outcomes = Map.groupBy(records, ({ outcome }) => outcome);
  const failed = records.length - (outcomes.get('closed')?.length ?? 0) - (outcomes.get('denied')?.length ?? 0);
  const bytes = records.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
  expect({ closed: outcomes.get('closed')?.length, denied: outcomes.get('denied')?.length }).toEqual({
    closed: 20,
    denied: 20,
  });
  const expected = { opened: 20 + failed, denied: 20, failed, bytesSent: bytes, bytesReceived: bytes };
  await until('all told', sums, (sum) => JSON.stringify(sum) === JSON.stringify(expected));
  expect(sums(({ sourceHost }) => sourceHost === 'near')).toMatchObject({ denied: 15 });
  const newest = told.flatMap(({ pairs }) => pairs).findLast(({ lastDenied }) => lastDenied !== undefined);
  expect(newest?.lastDenied).toMatchObject({ port: 6381, protocol: 'tcp', rule: 'no-admin' });
});

test('what lives is told while it lives, with the tunnel that carries it', async () => {
  const socket = await near.connect('redis', 6379);
  await says(socket, 'hello');
  const living = ({ pairs }: Telemetry) =>
    pairs.some(
      ({ sourceHost, destinationHost, open }) => sourceHost === 'near' && destinationHost === 'far' && open === 1,
    );
  await until('a live flow', () => told.findLast(living));
  const peers = () => told.flatMap((telemetry) => telemetry.peers).findLast(({ host }) => host === 'far');
  const tunnels = await until('a tunnel', peers, (peer) => (peer?.roundTripUs ?? 0) > 0);
  expect(tunnels).toMatchObject({ tunnels: expect.any(Number), pathSize: expect.any(Number) });
  expect(tunnels?.bytesSent).toBeGreaterThan(0);
  await until(
    'control shows it',
    () => mesh.ask(adminService.listTraffic, { network: NETWORK }),
    ({ traffic }) => traffic.some(({ service, open }) => service === 'redis' && open === 1),
  );
  const ended = ending(socket);
  socket.end();
  await ended;
});

test('an agent is listed with where it comes from and what it lost', async () => {
  const { out } = await weft(mesh.environment, 'agents', '--json');
  const { agents } = JSON.parse(out) as { agents: Record<string, unknown>[] };
  expect(agents.find(({ host }) => host === 'near')).toMatchObject({
    ...{ observed_host: '127.0.0.1', address_hint: '' },
    telemetry: { records_lost: 0 },
  });
});
