/** A changed agent file is taken up while the agent runs: whole or not at all, and flows that it does not concern go on. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { formatHostPort } from '@weft/proto';
import { adminService, rolesToWire } from '@weft/proto/wire';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { ending, hears, named, says, type TcpProgram } from './programs.ts';

const MESH = `
services:
  redis: { kind: private, ports: [6379] }
  web: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  mailer: { kind: worker }
policies:
  - { name: no-mailer, action: deny, from: [mailer], to: [web] }
`;

let mesh: Mesh;
let near: Agent;
let old: TcpProgram;
let moved: TcpProgram;
let hosts = 0;
const server = http.createServer((_, response) => response.end('the shop'));

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  [old, moved] = await Promise.all([named('old'), named('moved')]);
  near = await mesh.agent('near');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  await mesh.close();
  await Promise.all([old.stop(), moved.stop()]);
  server.close();
});

const at = ({ port }: { readonly port: number }) => `127.0.0.1:${port}`;

async function host(name: string, workers: number): Promise<Agent> {
  const { token } = await mesh.ask(adminService.createToken, {
    network: NETWORK,
    host: name,
    services: ['redis', 'web', 'mailer'],
    roles: rolesToWire(['gateway']),
  });
  return await mesh.agent(name, { token, workers, services: { redis: { 6379: old.port }, web: { 3000: old.port } } });
}

const reload = (agent: Agent, ...more: readonly string[]) => weft({}, 'reload', '--data', agent.directory, ...more);

/** Without that of the rule about a service which may run there: it stands whatever the file says. */
async function fileProblems(agent: Agent) {
  const { problems } = await agent.status();
  return problems.filter(({ code }) => code !== 'rules-inexact');
}

/** Who answered, with the connection. */
async function call(service: string, port: number): Promise<readonly [Socket, string]> {
  const client = await near.connect(service, port);
  return [client, await hears(client)];
}

describe.each([1, 2])('with %i workers', (workers) => {
  let data: Agent;
  beforeEach(async () => {
    data = await host(`data-${++hosts}`, workers);
  });
  afterEach(async () => {
    await data.stop();
    await mesh.ask(adminService.revokeAgent, { network: NETWORK, agent: data.host });
  });

  test('a target that moves takes new flows, a service that goes is cut, and the rest go on', async () => {
    const [redis, first] = await call('redis', 6379);
    const [web] = await call('web', 3000);
    expect(first).toBe('old\n');

    data.write(`services: { redis: { targets: { 6379: "${at(moved)}" } }, mailer: }`);
    const lost = ending(web);
    const told = await reload(data);
    expect(told).toEqual({
      code: 0,
      // What this host runs now cannot be told apart, and a rule of the mesh denies the worker.
      err: expect.stringMatching(/^problem {4}data-\d: rule no-mailer denies .* \(rules-inexact\)\n$/),
      out: [
        '+ services.mailer',
        `~ services.redis.targets.6379: ${at(old)} -> ${at(moved)}`,
        '- services.web',
        `- services.web.targets.3000: ${at(old)}`,
        `${data.file} is in force`,
        '',
      ].join('\n'),
    });
    expect(await lost).toBe('reset');
    await says(redis, 'still there');
    // New ones, at once.
    const [again, second] = await call('redis', 6379);
    expect(second).toBe('moved\n');
    const status = await data.status();
    expect(status.instances.map(({ service }) => service)).toEqual(['mailer', 'redis']);
    const records = await until(
      'the record',
      () => mesh.records('web'),
      (all) => all.some(({ detail }) => detail === 'web is not in the agent file of this host any more'),
    );
    expect(records.at(-1)).toMatchObject({ outcome: 'cut', instance: expect.stringMatching(/^web/) });
    for (const socket of [redis, again]) socket.destroy();

    expect(await reload(data)).toMatchObject({ code: 0, out: `${data.file}: nothing has changed\n` });
  });

  test('a file with a mistake changes nothing, and stands as a problem until it is mended', async () => {
    const [redis] = await call('redis', 6379);
    data.write('services:\n  redis: { targets: { 6379: "redis.example.com:6379" } }\n  mailer:\n');
    const told = await reload(data);
    expect(told).toMatchObject({ code: 2, out: '' });
    expect(told.err).toMatch(
      /data-\d\.yaml:2:29: services\.redis\.targets\.6379: expected an IP address.*\nweft: nothing was changed\n$/,
    );
    const { instances } = await data.status();
    expect(await fileProblems(data)).toMatchObject([{ code: 'agent-file', subject: data.file }]);
    expect(instances.map(({ service }) => service)).toEqual(['redis', 'web']);

    // What no agent could start with.
    const { names } = await data.status();
    const loop = names.find(({ name }) => name === 'web.internal')?.address;
    data.write(`services: { redis: { targets: { 6379: "${loop}:6379" } } }`);
    expect(await reload(data)).toMatchObject({ code: 1, err: expect.stringContaining('would call itself') });

    const as = JSON.parse((await reload(data, '--json')).err) as unknown;
    expect(as).toMatchObject({ version: 1, error: { code: 'target-loops' } });
    data.write(`services: { redis: { targets: { 6379: "${at(old)}" } }, web: { targets: { 3000: "${at(old)}" } } }`);
    expect(JSON.parse((await reload(data, '--json')).out)).toEqual({
      version: 1,
      file: data.file,
      changes: [],
      problems: [],
    });
    expect(await fileProblems(data)).toEqual([]);
    await says(redis, 'through all of it');
    redis.destroy();
  });

  test('whom a program here speaks as is told by the services of now', async () => {
    const redis = `redis: { targets: { 6379: "${at(old)}" } }`;
    const opened = async () => {
      const client = await data.connect('redis', 6379);
      await hears(client);
      return client;
    };
    // One service: this host speaks as it. Two: as itself.
    data.write(`services: { ${redis} }`);
    await reload(data);
    const one = await opened();
    data.write(`services: { ${redis}, mailer: }`);
    await reload(data);
    const two = await opened();
    await says(one, 'still redis');
    const cut = [one, two].map(ending);
    data.write('services: { mailer: }');
    await reload(data);
    expect(await Promise.all(cut)).toEqual(['reset', 'reset']);
    const records = await until(
      'both records',
      async () => (await mesh.records('redis')).filter(({ sourceHost }) => sourceHost === data.host),
      ({ length }) => length === 2,
    );
    expect(new Set(records.map(({ source, outcome }) => `${source} ${outcome}`))).toEqual(
      new Set([`host:${data.host} cut`, 'redis cut']),
    );
  });

  test('a gateway opens, moves and closes', async () => {
    const { port } = server.address() as AddressInfo;
    const file = (more: string) => `services: { web: { targets: { 3000: "127.0.0.1:${port}" } } }\n${more}`;
    const shop = (address: string) =>
      new Promise<string>((resolve, reject) => {
        http
          .get(`http://${address}/`, { headers: { host: 'shop.example.com' }, agent: false }, (response) =>
            resolve(text(response)),
          )
          .on('error', reject);
      });
    // A record has the zone of when its flow ended.
    const zones = (count: number) =>
      until(
        'the records',
        async () =>
          (await mesh.records('web')).flatMap(({ source, sourceHost, zone }) =>
            source === 'internet' && sourceHost === data.host ? [zone] : [],
          ),
        ({ length }) => length === count,
      );
    data.write(file('gateway: { http: "127.0.0.1:0" }\nzone: eu-1a'));
    expect(await reload(data)).toMatchObject({
      code: 0,
      out: expect.stringContaining('+ gateway.http: 127.0.0.1:0\n'),
    });
    const first = (await data.status()).gateway;
    await data.vip('web');
    expect(await shop(first)).toBe('the shop');
    expect(await zones(1)).toEqual(['eu-1a']);
    data.write(file(`gateway: { http: "${formatHostPort('127.0.0.2', 0)}" }\nzone: eu-1b`));
    await reload(data);
    const second = (await data.status()).gateway;
    expect(await shop(second)).toBe('the shop');
    expect(await zones(2)).toEqual(['eu-1a', 'eu-1b']);
    await expect(shop(first)).rejects.toThrow('ECONNREFUSED');
    // A place that is taken is no error of the file, and not in force.
    data.write(file(`gateway: { http: "127.0.0.1:${port}" }`));
    const told = await reload(data);
    expect(told).toMatchObject({
      code: 1,
      out: expect.stringContaining('is in force, but for what the problems say\n'),
    });
    expect(told.err).toMatch(new RegExp(`^problem +127\\.0\\.0\\.1:${port}: .*\\(gateway-listen\\)\n$`));
    await expect(shop(second)).rejects.toThrow('ECONNREFUSED');
    expect(await reload(data)).toMatchObject({
      ...{ code: 1, out: `${data.file}: nothing has changed, and not all of it is in force\n` },
      err: expect.stringContaining('(gateway-listen)'),
    });
    data.write(file(''));
    await reload(data);
    expect(await fileProblems(data)).toEqual([]);
    await expect(shop(second)).rejects.toThrow('ECONNREFUSED');
    expect((await data.status()).gateway).toBe('');
  });
});
