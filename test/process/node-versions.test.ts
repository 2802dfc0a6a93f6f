/** Each Node that is promised runs the agent: its sockets with and without what is inside of Node, and the programs whole. */
import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import { existsSync, readlinkSync, realpathSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { checkout, createLocalLab, type Host, type Lab, titled } from '../harness/host.ts';
import { run } from '../harness/process.ts';
import { until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

/** Where the checkout has them: its own, and two for this test alone. They are made for Linux on x64. */
const NODES = [
  [22, join(checkout, 'test/runtimes/node_modules/node-22/bin/node')],
  [24, join(checkout, 'node_modules/.bin/node')],
  [26, join(checkout, 'test/runtimes/node_modules/node-26/bin/node')],
] as const;

const PROGRAMS: Readonly<Record<string, string>> = {
  weft: join(checkout, 'packages/agent/bin/weft.js'),
  'weft-control': join(checkout, 'packages/control/bin/weft-control.js'),
};

function missing(node: string): string | undefined {
  return existsSync(node) ? undefined : 'this Node is not installed here: it is there for linux-x64 only';
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

describe.each(NODES)('Node %i', (major, node) => {
  describe.skipIf(missing(node) !== undefined)(titled('sockets', missing(node)), () => {
    const check = async (mode: 'fast' | 'plain') => {
      const { code, stdout, stderr } = await run([node, join(checkout, 'test/fixtures/conduit-check.ts'), mode]);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const found = JSON.parse(stdout) as { node: string; memories: number; passed: string[]; streamWrites: number };
      expect(found.node).toMatch(new RegExp(`^v${major}\\.`));
      expect(found.passed).toHaveLength(8);
      return found;
    };

    test('do what conduits promise, the fast way', async () => {
      // All reads of all sockets in one memory, and no write through the stream machinery: nothing fell back.
      expect(await check('fast')).toMatchObject({
        memories: 1,
        streamWrites: 0,
        inside: { sends: true, youngCollector: true, fullCollector: true },
      });
    });

    test('do the same without what is inside of Node', async () => {
      const { memories, streamWrites } = await check('plain');
      expect(memories).toBeGreaterThan(1);
      expect(streamWrites).toBeGreaterThan(0);
    });
  });

  describe.skipIf(missing(node) !== undefined)(titled('control and two agents', missing(node)), () => {
    const cleanup = new AsyncDisposableStack();
    const servers = { tcp: net.createServer((socket) => socket.pipe(socket)), udp: dgram.createSocket('udp4') };
    const ports = { tcp: 0, udp: 0 };
    let lab: Lab;
    let control: Control;
    let vip: string;

    beforeAll(async () => {
      lab = cleanup.use(createLocalLab());
      servers.udp.on('message', (payload, from) => servers.udp.send(payload, from.port, from.address));
      await new Promise<void>((listening) => servers.tcp.listen(0, '127.0.0.1', listening));
      await new Promise<void>((bound) => servers.udp.bind(0, '127.0.0.1', bound));
      // The services' ports are not their targets': both agents share this machine.
      ports.tcp = await freePort();
      ports.udp = await freePort();
      const host = on(node, await lab.host('main'));
      control = await Control.start(host, { control: await freePort(), dashboard: await freePort() });
      await control.apply(
        `network: prod\nservices:\n  echo: { kind: private, ports: [${ports.tcp}, ${ports.udp}/udp] }\n  caller: { kind: worker }\n`,
      );
      const targets = {
        [ports.tcp]: `127.0.0.1:${(servers.tcp.address() as net.AddressInfo).port}`,
        [`${ports.udp}/udp`]: `127.0.0.1:${servers.udp.address().port}`,
      };
      const agents = [await joins('echo', { echo: { targets } }, 20), await joins('caller', { caller: {} }, 21)];
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
      );
      await until(
        'the instance to be well',
        () => control.ok('explain', 'caller', `echo:${ports.tcp}`, '--json'),
        (answer) => JSON.parse(answer).break_point === 'none',
      );
    });
    afterAll(async () => {
      await cleanup.disposeAsync();
      servers.tcp.close();
      servers.udp.close();
    });

    /** Where the last agent serves names. */
    let names = 0;
    async function joins(service: string, services: object, range: number): Promise<Agent> {
      const token = await control.ok('token', 'create', '--network', 'prod', '--host', service, '--services', service);
      names = await freePort();
      const shared = { tunnel: await freePort(), dns: names, range: `127.${200 + (major - 20)}.${range * 8}.0/21` };
      return await Agent.start(on(node, await lab.host(service)), {
        token,
        config: JSON.stringify({ services }),
        shared,
      });
    }

    test('carry a megabyte of TCP, and it is recorded', async () => {
      const socket = net.connect(ports.tcp, vip);
      const sent = Buffer.alloc(1 << 20, `by Node ${major} `);
      const heard: Buffer[] = [];
      socket.end(sent);
      for await (const piece of socket) heard.push(piece as Buffer);
      expect(Buffer.concat(heard).equals(sent)).toBe(true);
      const flow = await until(
        'the record',
        () => control.ok('flows', '--json'),
        (text) => text.includes('"echo"'),
      );
      expect(JSON.parse(flow.split('\n').at(-1) ?? '')).toMatchObject({
        source: 'caller',
        service: 'echo',
        outcome: 'closed',
      });
    });

    test('carry datagrams', async () => {
      const socket = dgram.createSocket('udp4');
      const heard = new Set<string>();
      socket.on('message', (payload) => heard.add(payload.toString()));
      // Said again until heard: a datagram may be lost.
      await until('an answer', () => {
        for (const words of ['one', 'two']) socket.send(words, ports.udp, vip);
        return heard.size === 2;
      });
      socket.close();
    });
  });
});
