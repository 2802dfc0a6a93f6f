/** Each Node that is promised runs the agent: its sockets with and without what is inside of Node, and the programs whole. */
import { spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { checkout, createLocalLab, type Host, type Lab, titled } from '../harness/host.ts';
import { run } from '../harness/process.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const OWN = join(checkout, 'node_modules/.bin/node');
/**
 * The oldest of each line that package.json promises, the newest of the last line without node:ffi, the first that is known to bring it, and
 * the checkout's own. Those that are not the checkout's are for this test alone, and made for Linux on x64.
 */
const NODES = [
  ['22.21.0', join(checkout, 'test/runtimes/node_modules/node-22/bin/node')],
  ['24.9.0', join(checkout, 'test/runtimes/node_modules/node-24/bin/node')],
  ['24.21.0', join(checkout, 'test/runtimes/node_modules/node-24-newest/bin/node')],
  ['26.10.0', join(checkout, 'test/runtimes/node_modules/node-26/bin/node')],
  ['26.12.1', OWN],
] as const;

test('the floor that is promised is among those that are tested', () => {
  const { engines } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { engines: { node: string } };
  const floors = engines.node.split(' || ').map((range) => range.replace(/^(?:\^|>=)/, ''));
  expect(NODES.map(([version]) => version)).toEqual(expect.arrayContaining(floors));
});

const PROGRAMS: Readonly<Record<string, string>> = {
  weft: join(checkout, 'packages/agent/bin/weft.js'),
  'weft-control': join(checkout, 'packages/control/bin/weft-control.js'),
};

function missing(version: string, node: string): string | undefined {
  if (!existsSync(node)) return 'this Node is not installed here: it is there for linux-x64 only';
  const found = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return found.stdout === `v${version}\n` ? undefined : 'this Node does not start here, for want of libatomic';
}

/** The host, with our programs run by this Node. */
function on(node: string, host: Host): Host {
  const byNode = ([program = '', ...args]: readonly string[]): string[] => {
    const script = PROGRAMS[program];
    return script === undefined ? [program, ...args] : [node, script, ...args];
  };
  return {
    ...host,
    start: (argv, options) => host.start(byNode(argv), options),
    run: (argv, options) => host.run(byNode(argv), options),
    check: (argv, options) => host.check(byNode(argv), options),
  };
}

/** Runs what follows in a network of its own, the least that IPv6 may have. */
const NARROW = ['unshare', '-n', 'sh', '-c', 'ip link set lo mtu 1280 up && exec "$0" "$@"'] as const;

interface BatchesFound {
  readonly cause: string;
  readonly batched: {
    readonly sent: number;
    readonly received: number;
    readonly joined: number;
    readonly unparted: number;
  };
  readonly passed: readonly string[];
}

describe.each(NODES)('Node %s', (version, node) => {
  const major = Number(version.split('.')[0]);
  const lacking = missing(version, node);
  describe.skipIf(lacking !== undefined)(titled('sockets', lacking), () => {
    const check = async (...options: readonly string[]) => {
      const { code, stdout, stderr } = await run([node, ...options, join(checkout, 'test/fixtures/conduit-check.ts')]);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const found = JSON.parse(stdout) as {
        node: string;
        memories: number;
        passed: string[];
        streamWrites: number;
        sentAtOnce: number;
        inside: { returned?: number };
      };
      // The checkout's own may be another where there is none for the platform.
      if (node !== OWN) expect(found.node).toBe(`v${version}`);
      expect(found.passed).toHaveLength(16);
      return found;
    };

    test('do what conduits promise, the fast way', async () => {
      // All reads of all sockets in one memory, and no write through the stream machinery: nothing fell back.
      const found = await check();
      expect(found).toMatchObject({
        memories: 1,
        streamWrites: 0,
        inside: { sends: true, passes: true, youngCollector: true, fullCollector: true },
      });
      // It lives on without most of the pages that it was started from, where Node can be told to let go of them.
      if (version.startsWith('26.')) expect(found.inside.returned).toBeGreaterThan(0.5);
      else expect(found.inside.returned).toBeUndefined();
      expect(found.sentAtOnce > 0).toBe(major >= 26);
    });

    const narrow = major >= 26 && process.getuid?.() === 0;
    // Switched off is what every Node without node:ffi does by itself: of those with it one shows the same.
    const off = node === OWN;
    test.each([
      ['many at once where it has node:ffi', 'native', major >= 26, []],
      ...(off ? [['one by one', 'plain', false, []] as const] : []),
      // What no longer fits is refused when it comes together, and goes by itself, in pieces.
      ...(narrow ? [['over a path that takes less', 'native', true, NARROW] as const] : []),
    ] as const)('bring datagrams, %s', async (_how, mode, used, place) => {
      const fixture = join(checkout, 'test/fixtures/datagram-check.ts');
      const { code, stdout, stderr } = await run([...place, node, fixture, mode]);
      // Nor a word of what is experimental.
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { main, thread } = JSON.parse(stdout) as Record<'main' | 'thread', BatchesFound>;
      for (const { cause, batched, passed } of [main, thread]) {
        expect(passed).toHaveLength(8);
        expect(cause === '').toBe(used);
        if (used) {
          expect(Math.min(batched.sent, batched.received)).toBeGreaterThan(500);
          expect(batched.joined).toBeGreaterThan(50);
        } else expect(batched).toEqual({ sent: 0, received: 0, joined: 0, unparted: 0 });
      }
    });

    test.each([
      ['by OpenSSL past node:crypto where it has node:ffi', 'native', major >= 26],
      ...(off ? [['by node:crypto alone', 'plain', false] as const] : []),
    ] as const)('seal and open records, %s', async (_how, mode, used) => {
      const { code, stdout, stderr } = await run([node, join(checkout, 'test/fixtures/record-check.ts'), mode]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const found = JSON.parse(stdout) as { readonly native: boolean; readonly passed: readonly string[] };
      expect(found.native).toBe(used);
      expect(found.passed).toHaveLength(used ? 7 : 0);
    });

    test('do the same without what is inside of Node', async () => {
      const { memories, streamWrites } = await check('--import', 'data:text/javascript,process.binding=undefined');
      expect(memories).toBeGreaterThan(1);
      expect(streamWrites).toBeGreaterThan(0);
    });
  });

  describe.skipIf(lacking !== undefined)(titled('control and two agents', lacking), () => {
    const cleanup = new AsyncDisposableStack();
    const servers = {
      tcp: net.createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)),
      udp: dgram.createSocket('udp4'),
      web: http.createServer((_request, response) => response.end('a page')),
    };
    servers.web.on('upgrade', (_request, socket) => {
      socket.on('error', () => socket.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    const ports = { tcp: 0, udp: 0, web: 0, public: 0 };
    let lab: Lab;
    let control: Control;
    let operator: Host;
    /** What is asked more than once, by the programs of the package: these start in half the time. This Node has its command, too, that applies. */
    const query = (...args: readonly string[]) => operator.check(['weft', ...args], { env: control.env });
    let vip: string;
    let local: Agent;
    let singly: Agent;

    beforeAll(async () => {
      lab = cleanup.use(createLocalLab());
      servers.udp.on('message', (payload, from) => servers.udp.send(payload, from.port, from.address));
      for (const server of [servers.tcp, servers.web]) {
        await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      }
      await new Promise<void>((bound) => servers.udp.bind(0, '127.0.0.1', bound));
      // The services' ports are not their targets': both agents share this machine.
      ports.tcp = await freePort();
      ports.udp = await freePort();
      operator = await lab.host('main');
      const host = on(node, operator);
      control = await Control.start(host, { control: await freePort(), dashboard: await freePort() });
      ports.web = await freePort();
      ports.public = await freePort();
      await control.apply(
        [
          'network: prod',
          'services:',
          `  echo: { kind: private, ports: [${ports.tcp}, ${ports.udp}/udp] }`,
          `  web: { kind: web, ports: [${ports.web}], public: { port: ${ports.web}, hosts: [shop.example.com] } }`,
          '  caller: { kind: worker }\n',
        ].join('\n'),
      );
      const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port;
      const services = {
        echo: {
          targets: {
            [ports.tcp]: `127.0.0.1:${portOf(servers.tcp)}`,
            [`${ports.udp}/udp`]: `127.0.0.1:${servers.udp.address().port}`,
          },
        },
        web: { targets: { [ports.web]: `127.0.0.1:${portOf(servers.web)}` } },
      };
      local = await joins('echo', { services });
      const calls = { services: { caller: {} }, gateway: { http: `127.0.0.1:${ports.public}` } };
      singly = await joins('caller', calls, ['--no-native']);
      const agents = [local, singly];
      for (const { process } of [control, ...agents]) {
        expect(readlinkSync(`/proc/${process.pid}/exe`)).toBe(realpathSync(node));
      }
      vip = await until(
        'the name',
        async () => {
          const resolver = new dns.Resolver({ timeout: 1_000, tries: 1 });
          resolver.setServers([`127.0.0.1:${names}`]);
          return (await resolver.resolve4('echo.internal'))[0] ?? '';
        },
        (address) => address !== '',
        SETTLED_MS,
      );
      await until(
        'the instance to be well',
        () => query('explain', 'caller', `echo:${ports.tcp}`, '--json'),
        (answer) => JSON.parse(answer).break_point === 'none',
        SETTLED_MS,
      );
    });
    afterAll(async () => {
      await cleanup.disposeAsync();
      servers.tcp.close();
      servers.udp.close();
      servers.web.close();
    });

    /** Where the last agent serves names. */
    let names = 0;
    async function joins(
      host: string,
      file: { services: object; gateway?: object },
      args: readonly string[] = [],
    ): Promise<Agent> {
      const scope = ['--host', host, '--services', Object.keys(file.services).join(','), '--gateway'];
      const token = (await query('token', 'create', '--network', 'prod', ...scope)).trim();
      names = await freePort();
      const shared = { tunnel: await freePort(), dns: names, range: freeRange() };
      return await Agent.start(on(node, await lab.host(host)), {
        token,
        config: JSON.stringify(file),
        shared,
        args,
      });
    }

    test('log lines of JSON alone', () => {
      for (const { process } of [control, local, singly]) {
        const lines = process.stderr.trimEnd().split('\n');
        expect(lines.filter((line) => !/^\{.*\}$/.test(line))).toEqual([]);
      }
    });

    test('carry a megabyte of TCP, and it is recorded', async () => {
      const socket = net.connect(ports.tcp, vip);
      const sent = Buffer.alloc(1 << 20, `by Node ${version} `);
      const heard: Buffer[] = [];
      socket.end(sent);
      for await (const piece of socket) heard.push(piece as Buffer);
      expect(Buffer.concat(heard).equals(sent)).toBe(true);
      const flow = await until(
        'the record',
        () => query('flows', '--json'),
        (text) => text.includes('"echo"'),
      );
      expect(JSON.parse(flow.trim().split('\n').at(-1) ?? '')).toMatchObject({
        source: 'caller',
        service: 'echo',
        outcome: 'closed',
      });
    });

    test('let the internet in through the gateway, for a page and for another protocol', async () => {
      const ask = async (headers: string): Promise<string> => {
        const socket = net.connect(ports.public, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(`GET / HTTP/1.1\r\nHost: shop.example.com\r\n${headers}\r\n\r\n`);
        let heard = '';
        for await (const piece of socket) {
          heard += String(piece);
          // Said once the protocol is another: what comes back is the service's.
          if (heard.startsWith('HTTP/1.1 101') && !heard.includes('ping')) socket.write('ping');
          else if (heard.endsWith('ping')) break;
        }
        return heard;
      };
      await until(
        'the page',
        () => ask('Connection: close'),
        (page) => page.includes('a page'),
      );
      expect(await ask('Connection: Upgrade\r\nUpgrade: echo')).toMatch(/^HTTP\/1\.1 101 [\s\S]*ping$/);
    });

    test('carry datagrams, and tell how', async () => {
      const socket = dgram.createSocket('udp4');
      const heard = new Set<string>();
      socket.on('message', (payload) => heard.add(payload.toString()));
      // Said again until heard: a datagram may be lost.
      await until('an answer', () => {
        for (const words of ['one', 'two']) socket.send(words, ports.udp, vip);
        return heard.size === 2;
      });
      socket.close();
      const howOf = async (agent: Agent) => (await agent.status<{ readonly native: unknown }>()).native;
      const how = { used: major >= 26, cause: major >= 26 ? '' : expect.stringContaining('no node:ffi') };
      expect(await howOf(local)).toEqual(how);
      expect(await howOf(singly)).toEqual({ used: false, cause: 'switched off by --no-native' });
      const sealingOf = async (agent: Agent) => (await agent.status<{ readonly sealing: unknown }>()).sealing;
      expect(await sealingOf(local)).toEqual({ in_place: how.used, cause: how.cause });
      expect(await sealingOf(singly)).toEqual({ in_place: false, cause: 'switched off by --no-native' });
    });
  });
});
