/** What a host may run is widened and narrowed while it runs, and nothing else is touched by it. */
import type { Socket } from 'node:net';
import { decodeJoinToken } from '@weft/proto';
import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

const meshOf = (right = ''): string => `services:
  redis: { kind: private, ports: [6379] }
  rabbit: { kind: private, ports: [5672] }
agents: { data: { tags: [eu]${right} } }
`;
const WIDE = meshOf(', services: [rabbit]');

let mesh: Mesh;
let program: TcpProgram;
let data: Agent;
let tools: Agent;

beforeAll(async () => {
  mesh = await Mesh.start(WIDE);
  program = await echo();
  const { port } = program;
  const { token } = await mesh.ask(adminService.createToken, { network: NETWORK, host: 'data', services: ['redis'] });
  data = await mesh.agent('data', { services: { redis: { 6379: port }, rabbit: { 5672: port } }, token });
  tools = await mesh.agent('tools');
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

/** A connection that has carried something. */
async function open(service: string, port: number): Promise<Socket> {
  // Both ends know of the instance.
  await data.vip(service);
  const socket = await tools.connect(service, port);
  await says(socket, 'hello');
  return socket;
}

/** Whether it could have been the flow that a change cut. */
async function outcomes(service: string, since: number, count: number): Promise<string[]> {
  const records = await mesh.recorded(service, since + count);
  return records.slice(since).map(({ outcome }) => outcome);
}

const problemsAt = async (agent: Agent): Promise<string[]> =>
  (await agent.status()).problems.map(({ code, subject }) => `${code} ${subject}`);

describe('by the mesh file', () => {
  beforeEach(async () => {
    await mesh.apply(WIDE);
  });

  test('a host serves what it says beside its token, at once and without a restart', async () => {
    const served = await open('redis', 6379);
    await mesh.apply(meshOf());
    await until(
      'rabbit told of as not allowed',
      () => problemsAt(data),
      (told) => told.includes('service-not-allowed rabbit'),
    );
    await mesh.apply(WIDE);
    const widened = await open('rabbit', 5672);
    expect(await problemsAt(data)).not.toContain('service-not-allowed rabbit');
    await says(served, 'still');
    for (const socket of [served, widened]) socket.end();
  });

  test('what it says no more is cut, and that alone', async () => {
    const [kept, lost] = [await open('redis', 6379), await open('rabbit', 5672)];
    const before = (await mesh.records('rabbit')).length;
    const ended = ending(lost);
    await mesh.apply(meshOf());
    expect(await ended).toBe('reset');
    await says(kept, 'still');
    kept.end();
    expect(await outcomes('rabbit', before, 1)).toEqual(['cut']);
  });
});

describe('by a grant', () => {
  const grant = (services: string[], take = false) =>
    mesh.ask(adminService.grantServices, { network: NETWORK, agent: 'data', services, take, terms: { wait: true } });

  test('it serves more at once, and less: what is taken is cut, and that alone', async () => {
    await mesh.apply(meshOf());
    const served = await open('redis', 6379);
    expect((await grant(['rabbit'])).result).toMatchObject({ stragglers: [], notKept: [] });
    const [widened, before] = [await open('rabbit', 5672), (await mesh.records('rabbit')).length];
    const ended = ending(widened);
    await grant(['rabbit'], true);
    expect(await ended).toBe('reset');
    await says(served, 'still');
    expect(await outcomes('rabbit', before, 1)).toEqual(['cut']);
    served.end();
  });

  test('what was taken stays so where control and the agent were started again, and the one without the other', async () => {
    await mesh.apply(meshOf());
    await grant(['rabbit']);
    await open('rabbit', 5672);
    await grant(['rabbit'], true);
    await data.stop();
    await mesh.stopControl();
    await data.start();
    const told = () =>
      until(
        'rabbit is not allowed',
        () => problemsAt(data),
        (known) => known.includes('service-not-allowed rabbit'),
      );
    await told();
    await mesh.startControl();
    await until(
      'the host is connected',
      () => mesh.ask(adminService.getStatus, {}),
      ({ networks }) => networks[0]?.connected === 2,
    );
    await told();
    const { agents } = await mesh.ask(adminService.listAgents, { network: NETWORK });
    expect(agents.find(({ host }) => host === 'data')?.services).toEqual(['redis']);
  });
});

test('a new token at its directory adds what it permits, and one of another network is refused in words', async () => {
  await mesh.apply(meshOf());
  const tokenOf = async (network: string) => {
    const { token } = await mesh.ask(adminService.createToken, { network, services: ['rabbit'], newNetwork: true });
    return decodeJoinToken(token);
  };
  const before = await idOf('data');
  const more = await tokenOf(NETWORK);
  await data.stop();
  await expect(data.start(await tokenOf('staging'))).rejects.toThrow(
    `the join token is of network staging, and this host is data of network ${NETWORK}`,
  );
  await data.start(more);
  for (const [service, port] of [
    ['rabbit', 5672],
    ['redis', 6379],
  ] as const)
    (await open(service, port)).end();
  expect(await idOf('data')).toBe(before);
});

async function idOf(name: string): Promise<string | undefined> {
  const { agents } = await mesh.ask(adminService.listAgents, { network: NETWORK });
  return agents.find(({ host }) => host === name)?.agentId;
}
