import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import type { PairTraffic } from '@weft/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { program, Rig, rule, service, until } from './rig.fixture.ts';

const PORT = 16_381;
const STATS = 18_127;
const SERVICES = [
  service('redis', 'private', PORT),
  service('statsd', 'private', `${STATS}/udp`),
  service('web', 'web', 13_002),
];

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Who calls from `near`, and what runs on `far`; both run redis where `local` is asked for. */
async function setup(options: { readonly redis?: number; readonly statsd?: number; readonly local?: boolean } = {}) {
  const echo = await program((socket) => void socket.pipe(socket));
  cleanups.push(() => echo.close());
  const redis = { redis: { [`${PORT}/tcp`]: options.redis ?? echo.port } };
  const statsd = { statsd: { [`${STATS}/udp`]: options.statsd ?? 9 } };
  const rig = await Rig.start({
    services: SERVICES,
    agents: [
      { host: 'near', runs: { web: { '13002/tcp': 1 }, ...(options.local === true ? redis : {}) } },
      { host: 'far', runs: { ...statsd, ...(options.local === true ? {} : redis) } },
    ],
  });
  cleanups.push(() => rig.stop());
  return rig;
}

function call(rig: Rig): net.Socket {
  const socket = net.connect({ host: rig.vip('near', 'redis'), port: PORT });
  socket.on('error', () => {});
  cleanups.push(() => socket.destroy());
  return socket;
}

function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function says(socket: net.Socket, text: string): Promise<void> {
  socket.write(text);
  await once(socket, 'data');
}

/** What both agents tell, with the host that does. */
function told(rig: Rig): readonly (PairTraffic & { readonly by: string })[] {
  return ['near', 'far'].flatMap((by) =>
    rig
      .agent(by)
      .traffic.take(100)
      .pairs.map((pair) => ({ ...pair, by })),
  );
}

function seen(rig: Rig, host: string) {
  return rig.agent(host).traffic.series();
}

const ended = (rig: Rig) => until(() => rig.live === 0 && rig.records().length > 0);

describe('a flow is told of by one agent', () => {
  it('the destination, when it got there, and both see it', async () => {
    const rig = await setup();
    const socket = call(rig);
    await says(socket, 'hello');
    const pair = { source: 'web', sourceHost: 'near', service: 'redis', destinationHost: 'far' };
    expect(told(rig)).toMatchObject([{ ...pair, by: 'far', open: 1, opened: 1, bytesSent: 5, bytesReceived: 5 }]);
    socket.end();
    await ended(rig);
    expect(told(rig)).toEqual([]);
    for (const [host, reporter] of [['near', 'source'] as const, ['far', 'destination'] as const]) {
      expect(seen(rig, host)).toMatchObject([{ reporter, open: 0, opened: 1, failed: {}, bytesSent: 5 }]);
      expect(seen(rig, host)[0]?.setup.counts.reduce((sum, count) => sum + count)).toBe(1);
    }
  });

  it('the source, when it stays on its host', async () => {
    const rig = await setup({ local: true });
    await says(call(rig), 'hello');
    expect(told(rig)).toMatchObject([{ by: 'near', source: 'host:near', destinationHost: 'near', open: 1, opened: 1 }]);
    expect(seen(rig, 'near')).toMatchObject([{ reporter: 'source', opened: 1 }]);
  });

  it('the source, when it denies it', async () => {
    const rig = await setup();
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    await closed(call(rig));
    expect(told(rig)).toMatchObject([
      {
        ...{ by: 'near', destinationHost: '', opened: 0, denied: 1, failed: 0 },
        lastDenied: { port: PORT, protocol: 'tcp', rule: 'no-web', revision: 2 },
      },
    ]);
    expect(seen(rig, 'near')).toMatchObject([{ opened: 0, denied: 1 }]);
  });

  it('the destination, when that denies it', async () => {
    const rig = await setup();
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] }, 'far');
    await closed(call(rig));
    await ended(rig);
    expect(told(rig)).toMatchObject([{ by: 'far', opened: 0, denied: 1, lastDenied: { rule: 'no-web' } }]);
    expect(seen(rig, 'near')).toMatchObject([{ reporter: 'source', denied: 1 }]);
  });

  it('the source, when nothing listens at the destination', async () => {
    const rig = await setup({ redis: 1 });
    await closed(call(rig));
    await ended(rig);
    const [record] = rig.records();
    expect(told(rig)).toMatchObject([{ by: 'near', open: 0, opened: 1, failed: 1 }]);
    expect(seen(rig, 'near')).toMatchObject([{ opened: 1, failed: { [record?.outcome ?? '']: 1 } }]);
    expect(seen(rig, 'far')).toEqual([]);
  });

  it('the destination, when it was cut', async () => {
    const rig = await setup();
    await says(call(rig), 'hello');
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    await ended(rig);
    expect(told(rig)).toMatchObject([{ by: 'far', open: 0, opened: 1, denied: 0, failed: 1, bytesSent: 5 }]);
    for (const host of ['near', 'far']) expect(seen(rig, host)).toMatchObject([{ opened: 1, failed: { cut: 1 } }]);
  });

  it('its source tells of the end, when the destination cannot any more', async () => {
    const rig = await setup();
    await says(call(rig), 'hello');
    expect(told(rig)).toMatchObject([{ by: 'far', opened: 1 }]);
    rig.change({ revoked: ['far'] }, 'near');
    await until(() => rig.agent('near').recorder.counters.recorded === 1);
    expect(rig.agent('near').traffic.take(100).pairs).toMatchObject([
      { open: 0, opened: 0, failed: 1, destinationHost: 'far', bytesSent: 0 },
    ]);
  });

  it('likewise with UDP', async () => {
    const stats = createSocket('udp4').bind(0, '127.0.0.1');
    await once(stats, 'listening');
    cleanups.push(() => stats.close());
    stats.on('message', (payload, from) => stats.send(payload, from.port, from.address));
    const rig = await setup({ statsd: stats.address().port });
    const client = createSocket('udp4').bind(0, '127.0.0.1');
    cleanups.push(() => client.close());
    await once(client, 'listening');
    client.send('hello', STATS, rig.vip('near', 'statsd'));
    await once(client, 'message');
    expect(told(rig)).toMatchObject([
      { by: 'far', service: 'statsd', open: 1, opened: 1, bytesSent: 5, bytesReceived: 5 },
    ]);
  });

  it.each(['tcp', 'udp'])('its source tells that it failed, when the tunnel under it broke: %s', async (protocol) => {
    const stats = createSocket('udp4').bind(0, '127.0.0.1');
    await once(stats, 'listening');
    cleanups.push(() => stats.close());
    stats.on('message', (payload, from) => stats.send(payload, from.port, from.address));
    const rig = await setup({ statsd: stats.address().port });
    if (protocol === 'tcp') await says(call(rig), 'hello');
    else {
      const client = createSocket('udp4').bind(0, '127.0.0.1');
      cleanups.push(() => client.close());
      await once(client, 'listening');
      client.send('hello', STATS, rig.vip('near', 'statsd'));
      await once(client, 'message');
    }
    expect(told(rig)).toMatchObject([{ by: 'far', opened: 1, failed: 0 }]);
    rig.breakTunnels();
    await until(() => rig.live === 0 && rig.records().length === 2);
    expect(rig.records()).toMatchObject([{ outcome: 'reset' }, { outcome: 'reset' }]);
    expect(told(rig)).toMatchObject([{ by: 'near', destinationHost: 'far', opened: 0, failed: 1 }]);
    for (const host of ['near', 'far']) expect(seen(rig, host)).toMatchObject([{ opened: 1, failed: { reset: 1 } }]);
  });
});
