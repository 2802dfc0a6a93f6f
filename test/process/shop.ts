/** A control, and two agents of one machine: one that runs echo, and one whose programs call it. */
import dns from 'node:dns/promises';
import net from 'node:net';
import { freePort } from '../../examples/demo/ports.ts';
import type { Lab } from '../harness/host.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

/** Tells how each of its connections ends: by `end`, or the error's code. */
async function serveEcho(ends: string[]): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.once('end', () => ends.push('end'));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      ends.push(code ?? '');
      socket.destroy();
    });
    socket.pipe(socket);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

/**
 * `call` asks echo as a program on the host of `front` does; `open` does so by a connection that stays. `ends`: how connections have ended, as echo
 * sees it.
 */
export async function shop(lab: Lab, cleanup: AsyncDisposableStack) {
  const ends: string[] = [];
  const echo = cleanup.adopt(await serveEcho(ends), (server) => void server.close());
  const port = await freePort();
  const mesh = (rules: string) =>
    `{ network: prod, services: { echo: { kind: private, ports: [${port}] }, web: { kind: private, ports: [3000] } }, ${rules} }`;
  const control = await Control.start(await lab.host('main'), {
    control: await freePort(),
    dashboard: await freePort(),
  });
  await control.apply(mesh('policies: []'));
  const target = (echo.address() as net.AddressInfo).port;
  const names = await freePort();
  const join = async (name: string, services: string, config: string, dnsPort: number) => {
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', name, '--services', services);
    const shared = { tunnel: await freePort(), dns: dnsPort, range: freeRange() };
    return Agent.start(await lab.host(name), { token, config, shared });
  };
  const targets = `services: { echo: { targets: { ${port}: "127.0.0.1:${target}" } } }`;
  const data = await join('data', 'echo', targets, await freePort());
  const front = await join('front', 'web', 'services: { web: {} }', names);
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([`127.0.0.1:${names}`]);
  const call = async (): Promise<string> => {
    const [host] = await resolver.resolve4('echo.internal');
    return await new Promise((resolve, reject) => {
      const socket = net.connect({ host: host ?? '', port });
      socket.setTimeout(6_000, () => socket.destroy(new Error('no answer')));
      socket.on('data', (heard) => {
        resolve(heard.toString());
        socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
      socket.write('hello');
    });
  };
  await until(
    'the call works',
    () => call().catch(String),
    (heard) => heard === 'hello',
    SETTLED_MS,
  );
  /** Answers with what asks by it once more. */
  const open = async (): Promise<() => Promise<string>> => {
    const [host] = await resolver.resolve4('echo.internal');
    const socket = net.connect({ host: host ?? '', port });
    cleanup.adopt(socket, (each) => void each.destroy());
    const closed = new Promise<never>((_resolve, reject) => {
      socket.on('error', () => {});
      socket.once('close', () => reject(new Error('closed')));
    });
    closed.catch(() => {});
    return async () => {
      const heard = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(bytes.toString())));
      if (socket.writable) socket.write('hello');
      return Promise.race([heard, closed]);
    };
  };
  return { control, data, front, mesh, call, open, port, ends };
}

export const DENY = 'policies: [{ name: shut, action: deny, from: [web], to: [echo] }]';
