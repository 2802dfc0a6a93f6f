/** A host gets another name while it serves: its flows go on, and everybody knows it by the new one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { ending, hears, named, says, type TcpProgram } from './programs.ts';

const mesh = (rules: string) => `
services:
  redis: { kind: private, ports: [6379] }
policies: [${rules}]
`;

let network: Mesh;
let near: Agent;
let data: Agent;
let program: TcpProgram;

beforeAll(async () => {
  network = await Mesh.start(mesh(''));
  program = await named('redis');
  data = await network.agent('data', { services: { redis: { 6379: program.port } } });
  near = await network.agent('near');
});
afterAll(async () => {
  await network.close();
  await program.stop();
});

test('rename keeps flows, is known everywhere, and survives a restart', async () => {
  const socket = await near.connect('redis', 6379);
  await hears(socket);
  const renamed = await weft(network.environment, 'agents', 'rename', 'data', 'vault');
  expect(renamed).toMatchObject({
    code: 0,
    err: '',
    out: expect.stringMatching(/^data \(ag_\w+\) is vault from revision \d+ on\n$/),
  });
  await until(
    'its own status',
    () => data.status(),
    ({ host, state }) => host === 'vault' && state === 'connected',
  );
  await until(
    'its peer',
    () => near.status(),
    ({ tunnel }) => tunnel.peers.some(({ host }) => host === 'vault'),
  );
  await says(socket, 'still there');
  // It is open still, for whoever asks by any of its hosts' names of now.
  for (const filter of [{}, { host: 'vault' }, { host: 'near' }]) {
    const { hosts } = await network.ask(adminService.listOpenFlows, { network: NETWORK, filter });
    const open = hosts.flatMap(({ flows }) => flows);
    expect(open).toMatchObject([{ sourceHost: 'near', destinationHost: 'vault', service: 'redis' }]);
  }
  const closed = ending(socket);
  socket.end();
  await closed;
  // Of a flow that is older than the name: control takes records of no host but those it knows.
  const [record] = await network.recorded('redis', 1);
  expect(record).toMatchObject({ outcome: 'closed', sourceHost: 'near', destinationHost: 'vault' });
  const { agents } = await network.ask(adminService.listAgents, { network: NETWORK });
  expect(agents.map(({ host }) => host).sort((one, other) => (one < other ? -1 : 1))).toEqual(['near', 'vault']);
  const { entries } = await network.ask(adminService.listAudit, { network: NETWORK });
  expect(entries.find(({ action }) => action === 'agent-rename')).toMatchObject({
    subject: 'agent data',
    detail: 'to vault',
  });

  await data.stop();
  expect(JSON.parse(readFileSync(join(data.directory, 'identity.json'), 'utf8'))).toMatchObject({
    membership: { host: 'vault' },
  });
  await data.start();
  const again = await near.connect('redis', 6379);
  expect(await hears(again)).toBe('redis\n');
  again.destroy();
});

test('a rule that names the old name alone refuses the new one, and is told once it holds for both', async () => {
  const rename = () => weft(network.environment, 'agents', 'rename', 'near', 'close');
  await network.apply(mesh('{ name: shut, action: deny, from: ["host:near"], to: [redis] }'));
  const refused = await rename();
  expect(refused).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('policy shut; say the same of both (host:near and host:close'),
  });
  await network.apply(mesh('{ name: shut, action: deny, from: ["host:near", "host:close"], to: [redis] }'));
  expect(await rename()).toMatchObject({
    code: 0,
    err: expect.stringContaining('the mesh still speaks of near: policy shut'),
  });
  await until(
    'its new name',
    () => near.status(),
    ({ host }) => host === 'close',
  );
  // It is denied by the rule still.
  const socket = await near.connect('redis', 6379);
  expect(await ending(socket)).toBe('reset');
  const records = await until(
    'the denial',
    () => network.records('redis'),
    (all) => all.some(({ outcome }) => outcome === 'denied'),
  );
  expect(records.find(({ outcome }) => outcome === 'denied')).toMatchObject({
    rule: 'shut',
    source: 'host:close',
    sourceHost: 'close',
  });
});
