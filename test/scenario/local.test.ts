/** What the commands of a host are told by its own agent. */
import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, type TcpProgram } from './programs.ts';

const MESH = `
services:
  redis: { kind: private, ports: [6379] }
  web: { kind: private, ports: [3000] }
  mailer: { kind: worker }
policies:
  - { name: apart, action: deny, from: ["host:lone"], to: ["*"] }
`;

let mesh: Mesh;
let near: Agent;
let data: Agent;
let program: TcpProgram;

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  program = await echo();
  data = await mesh.agent('data', { services: { redis: { 6379: program.port } }, relay: {} });
  near = await mesh.agent('near');
  await mesh.agent('lone');
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

test('ping tells the way to a host, and why there is none', async () => {
  const ping = (host: string, env: Readonly<Record<string, string>> = {}) =>
    weft(env, 'ping', host, '--count', '1', '--data', near.directory);

  const reached = await ping('data');
  expect(reached).toMatchObject({ code: 0, err: '' });
  expect(reached.out.split('\n')).toEqual([
    expect.stringMatching(new RegExp(`^data \\(${data.relay.endpoint}\\): [0-9.]+ ms$`)),
    expect.stringMatching(/^1 sent, 1 answered, min\/avg\/max [0-9.]+\/[0-9.]+\/[0-9.]+ ms$/),
    'the tunnel was made by this host',
    expect.stringMatching(/^UDP passes: packets of \d{3,4} B go beside the tunnel$/),
    '',
  ]);

  // Its answer is older than a probe is good for, so it is asked again.
  data.relay.passDatagrams = false;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const json = await weft({}, 'ping', 'data', '--count', '1', '--data', near.directory, '--json');
  expect(JSON.parse(json.out)).toMatchObject({
    ...{ version: 1, host: 'data', sent: 1, answered: 1, address: data.relay.endpoint, dialled: true, path_size: 0 },
    pings: [{ round_trip_us: expect.any(Number), unreachable: '' }],
  });
  data.relay.passDatagrams = true;

  expect(await ping('near')).toMatchObject({ code: 1, err: 'weft: near is this very host\n' });
  expect(await ping('lone')).toMatchObject({ code: 1, err: expect.stringContaining('is told of no host lone') });
  expect(await ping('lone', mesh.environment)).toMatchObject({
    code: 1,
    err: expect.stringContaining('no flow is permitted'),
  });
  expect(await ping('gone', mesh.environment)).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no host gone'),
  });
  await mesh.agent('gone');
  await mesh.ask(adminService.revokeAgent, { network: NETWORK, agent: 'gone' });
  expect(await ping('gone', mesh.environment)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/gone was revoked at \d{4}/),
  });
});

test('ping says that a host cannot be reached', async () => {
  const services = { web: { 3000: program.port } };
  const behind = await mesh.agent('behind', { services, relay: {}, controlRelay: true });
  // Known where it is asked.
  await near.vip('web');
  behind.vanish();
  const status = () => weft({}, 'status', '--data', near.directory);
  expect(await status()).toMatchObject({ code: 0 });
  const lost = await weft({}, 'ping', 'behind', '--count', '1', '--data', near.directory);
  expect(lost).toMatchObject({
    code: 4,
    out: expect.stringMatching(/^behind: no tunnel to behind: tried 127.*\n1 sent, none answered\n$/),
  });
  const told = await status();
  expect(told.code).toBe(4);
  expect(told.out).toMatch(
    /^unreachable since \d{4}-.* \(.*\): no tunnel to behind: tried 127\.0\.0\.1:\d+ \(connection refused\)$/m,
  );
  // Until control has told that it does not hear it: it is off, and nobody calls it.
  const off = await until('it is known to be off', status, ({ code }) => code === 0, 30_000);
  expect(off.out).toMatch(/^not there {3}since .*\(connection refused\); control does not hear it either$/m);
  const check = await weft({}, 'check', '--data', near.directory);
  expect(check.out).toMatch(/^hint +peer +behind: its agent is off, .*: not tried; start it: weft up on behind/m);
});
