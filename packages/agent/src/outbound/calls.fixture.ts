import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect } from 'vitest';
import { program, Rig, type RigOptions, service, until } from './rig.fixture.ts';

export const PORT = 16_379;
export const SERVICES = [
  service('redis', 'private', PORT),
  service('web', 'web', 13_000),
  service('mailer', 'worker'),
  service('cron', 'worker'),
];

export const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

export async function serving(serve: (socket: net.Socket) => void) {
  const started = await program(serve);
  cleanups.push(() => started.close());
  return started;
}

export const echo = (socket: net.Socket) => void socket.pipe(socket);

export interface Setup extends RigOptions {
  /** Ports of the programs behind redis/0, redis/1... each on a host of its own. */
  readonly redis: readonly number[];
}

/** a runs web, b runs mailer and web, r0, r1... run redis; g is a gateway. */
export async function setup({ redis, ...options }: Setup): Promise<Rig> {
  const hosts = redis.map((port, index) => ({ host: `r${index}`, runs: { redis: { [`${PORT}/tcp`]: port } } }));
  const agents = [
    { host: 'a', runs: { web: { '13000/tcp': 1 } } },
    { host: 'b', runs: { web: { '13000/tcp': 1 }, mailer: {} } },
    ...hosts,
    { host: 'g', roles: ['gateway' as const] },
  ];
  const rig = await Rig.start({ services: SERVICES, agents }, options);
  cleanups.push(() => rig.stop());
  return rig;
}

export function call(rig: Rig, from: string, address = rig.vip(from, 'redis')): net.Socket {
  const socket = net.connect({ host: address, port: PORT, allowHalfOpen: true });
  cleanups.push(() => socket.destroy());
  return socket;
}

/** How a connection ended: its error's code, or `end`. */
export function ending(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('end', () => resolve('end'));
    socket.resume();
  });
}

export async function exchange(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}

export async function oneRecord(rig: Rig) {
  await until(() => rig.records().length > 0 && rig.live === 0);
  const records = rig.records();
  expect(records).toHaveLength(1);
  return records[0];
}
