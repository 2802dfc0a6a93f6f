/** `weft run`: real programs in sandboxes that serve, called by hosts and from other sandboxes. */
import { describe, expect, test } from 'vitest';
import { type Host, hostsMissing, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { MESH, SANDBOX_PROGRAMS, SandboxHosts } from './sandbox-hosts.ts';

const missing = await hostsMissing(...SANDBOX_PROGRAMS);

describe.skipIf(missing !== undefined)(titled('a program that serves in a sandbox', missing), () => {
  const hosts = new SandboxHosts();
  const { argv, sandboxes, shell, start } = hosts;

  /** Says its name and the caller's address, at this address and port, over both transports. */
  const serve = async (name: string, address: string, ...more: readonly string[]): Promise<Process> => {
    const program = `
const net = require('net'), udp = require('dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
net.createServer((s) => s.on('error', () => {}).end('${name} ' + s.remoteAddress + '\\n')).listen(4000, '${address}', () => {
udp.on('message', (said, from) => udp.send('${name} ' + from.address + ' ' + said + '\\n', from.port, from.address));
udp.bind(4000, '${address}', () => console.log('ready'));
});
net.createServer((s) => s.on('error', () => {}).write('held\\n')).on('error', () => {}).listen(4001, '${address}');`;
    const command = ['weft', 'run', '--service', 'inner', '--data', hosts.agent.dataDir, ...more, '--'];
    const server = start([...command, 'node', '-e', program]);
    await server.output(/ready/);
    return server;
  };
  const call = async (host: Host, port = 4000): Promise<string> =>
    (await host.run(['nc', '-dw2', 'inner', String(port)])).stdout;
  const ask = async (host: Host): Promise<string> =>
    (await host.run(['sh', '-c', 'echo -n hi | timeout 5 nc -u -w2 inner 4000'])).stdout;
  const answers = (host: Host, pattern: RegExp, port = 4000) =>
    until(
      `inner answers ${pattern}`,
      () => call(host, port),
      (heard) => pattern.test(heard),
      SETTLED_MS,
    );

  test.each(['127.0.0.1', '0.0.0.0', '192.0.0.2'])(
    'at %s is called from each caller’s own address, TCP and UDP',
    async (address) => {
      const server = await serve('one', address);
      await answers(hosts.data, /^one 127\.8\d\.\d+\.\d+\n$/);
      expect(await ask(hosts.data)).toMatch(/^one 127\.8\d\.\d+\.\d+ hi\n$/);
      // By a program of the same host, and by one in a sandbox.
      await answers(hosts.front, /^one 127\.8\d\.\d+\.\d+\n$/);
      const web = (await shell("getent hosts web.internal | cut -d' ' -f1")).trim();
      expect(await shell('nc -dw2 inner 4000')).toBe(`one ${web}\n`);
      const { services } = JSON.parse(await hosts.control.ok('services', '--json')) as {
        services: { service: { name: string }; instances: { host: string; healthy: boolean }[] }[];
      };
      const inner = services.find(({ service }) => service.name === 'inner');
      expect(inner?.instances).toMatchObject([{ host: 'front', healthy: true }]);
      await server.kill();
      await until(
        'nobody answers',
        () => call(hosts.data),
        (heard) => heard === '',
        SETTLED_MS,
      );
      await hosts.none();
    },
  );

  test('at ::1 alone is called from there', async () => {
    const server = await serve('six', '::1');
    await answers(hosts.data, /^six ::1\n$/);
    await server.kill();
  });

  test('at another port than the declared one', async () => {
    const server = await serve('moved', '127.0.0.1', '--port', '4001=4000', '--port', '9999=4002');
    await answers(hosts.data, /^moved/, 4001);
    expect(server.stderr).toMatch(/^warning: inner declares 4000, .*, and not 9999, as --port has it: .*\n$/);
    await server.kill();
  });

  test('is found among more sockets than a line to the agent holds', async () => {
    const many = `
import socket
kept = [socket.create_server(('::', port), family=socket.AF_INET6) for port in range(20000, 20300)]
server = socket.create_server(('127.0.0.1', 4001))
print('ready', flush=True)
while True:
  called, _ = server.accept(); called.sendall(b'many\\n'); called.close()`;
    const server = start(argv('inner', 'python3', '-c', many));
    await server.output(/ready/);
    await answers(hosts.data, /^many\n$/, 4001);
    const [before] = await sandboxes();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await sandboxes()).toEqual([before]);
    await server.kill();
  });

  test('beside another of the same service takes turns with it, and leaves its calls to that', async () => {
    const [one, two] = [await serve('one', '0.0.0.0'), await serve('two', '127.0.0.1')];
    await answers(hosts.data, /^one/);
    await answers(hosts.data, /^two/);
    await one.kill();
    await until(
      'only the other answers',
      async () => [await call(hosts.data), await call(hosts.data), await call(hosts.data)].join(''),
      (heard) => heard.split('two').length === 4,
      SETTLED_MS,
    );
    await two.kill();
  });

  test('is denied to whom a rule denies it, and cut when one comes', async () => {
    const server = await serve('one', '127.0.0.1');
    await answers(hosts.data, /^one/);
    const held = ['nc', '-d', 'inner', '4001'];
    const [shut, other] = [start(held, {}, hosts.data), start(held)];
    await Promise.all([shut, other].map((each) => each.output(/held/)));
    await hosts.control.apply(
      MESH("policies: [{ name: shut, action: deny, from: ['host:data'], to: [inner] }]"),
      '--wait',
    );
    expect(await call(hosts.data)).toBe('');
    await shut.finished();
    const cut = async () =>
      (await hosts.control.ok('flows', '--json', '--to', 'inner'))
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    await until(
      'it is recorded',
      cut,
      (flows: { port: number; outcome: string; rule: string }[]) =>
        flows.some(({ port, outcome, rule }) => port === 4001 && outcome === 'cut' && rule === 'shut'),
      SETTLED_MS,
    );
    await answers(hosts.front, /^one/);
    expect(other.running).toBe(true);
    await hosts.control.apply(MESH(), '--wait');
    await server.kill();
  });
});
