import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../until.fixture.ts';
import { commandLine, NOW } from './command-line.fixture.ts';
import { readForward } from './forward-spec.ts';
import { localAgents } from './local-agent.fixture.ts';

const { directory, weft, weftWith } = commandLine();
const localAgent = localAgents(directory);
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** An agent that knows one service, at a port of this host. */
function agentWith(port: number, status: object = {}): Promise<string> {
  const redis = { name: 'redis.internal', kind: 'private', address: '127.0.0.1', instances: 1, healthy: 1 };
  return localAgent({ names: [{ ...redis, ports: [`${port}`, `${port}/udp`] }], problems: [], ...status });
}

async function service(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function datagramSocket(): Promise<DatagramSocket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  closes.push(() => socket.close());
  return socket;
}

/** A forward that runs until its test is over, and where it listens. */
async function forwarding(spec: string | readonly string[], data: string) {
  const stop = new AbortController();
  closes.push(() => stop.abort());
  const said = { out: '', err: '' };
  const ended = weftWith({ signal: stop.signal, said }, 'forward', ...[spec].flat(), '--json', '--data', data);
  await until(() => said.out !== '');
  const told = JSON.parse(said.out) as { forwards: { listening: { address: string; port: number }[] }[] };
  return { said, ended, stop, listening: told.forwards[0]?.listening ?? [] };
}

describe('forward', () => {
  test('leads both loopback addresses to the service, half by half, until it is stopped', async () => {
    // Node 26 else destroys a socket once all of it was read.
    const port = await service(
      (socket) =>
        void text(socket.iterator({ destroyOnReturn: false })).then(
          (heard) => socket.end(`heard ${heard}`),
          () => {},
        ),
    );
    const { listening, said, ended, stop } = await forwarding(`0:redis:${port}`, await agentWith(port));
    expect(listening.map(({ address }) => address)).toEqual(['127.0.0.1', '::1']);
    for (const at of listening) {
      const socket = connect({ ...at, host: at.address, allowHalfOpen: true });
      socket.end('hello');
      expect(await text(socket)).toBe('heard hello');
    }
    const open = connect({ port: listening[0]?.port ?? 0, host: '127.0.0.1' });
    await once(open, 'connect');
    const closed = new Promise((resolve) => open.on('error', () => {}).on('close', resolve));
    stop.abort();
    await closed;
    expect(await ended).toMatchObject({ code: 0 });
    expect(said.err).toBe(
      'note: each user of this host may call these ports, and calls as the programs of this host do; Ctrl-C ends them\n',
    );
  });

  test('leads datagrams there, each client by itself', async () => {
    const server = await datagramSocket();
    server.on('message', (datagram, { address, port }) => server.send(`${datagram}, ${port}`, port, address));
    const { port } = server.address();
    const { listening } = await forwarding(`0:redis:${port}/udp`, await agentWith(port));
    const clients = await Promise.all([datagramSocket(), datagramSocket()]);
    const answers = [];
    for (const client of [...clients, ...clients]) {
      client.send('hello', listening[0]?.port ?? 0, '127.0.0.1');
      const [answer] = (await once(client, 'message')) as [Buffer];
      answers.push(answer.toString());
    }
    expect(new Set(answers).size).toBe(2);
    expect(answers.slice(0, 2)).toEqual(answers.slice(2));
  });

  test('says nothing of its own listeners, however many forwards there are, and leaves none', async () => {
    const port = await service((socket) => socket.end());
    const warned: string[] = [];
    const onWarning = ({ message }: Error) => warned.push(message);
    process.on('warning', onWarning);
    closes.push(() => process.off('warning', onWarning));
    const before = process.listenerCount('exit');
    const specs = Array.from({ length: 12 }, (_, at) => `0:redis:${port}${at % 4 === 3 ? '/udp' : ''}`);
    const { ended, stop } = await forwarding(specs, await agentWith(port));
    expect(process.listenerCount('exit')).toBe(before + 1);
    // A warning comes in the next turn.
    await new Promise(setImmediate);
    expect(warned).toEqual([]);
    stop.abort();
    expect(await ended).toMatchObject({ code: 0 });
    expect(process.listenerCount('exit')).toBe(before);
  });

  test('says once why calls come to nothing, and resets them', async () => {
    const recent: object[] = [];
    const port = await service((socket) => socket.resetAndDestroy());
    const ends = { source: 'host:build-3', service: 'redis', port, protocol: 'tcp', startedMs: NOW };
    recent.push({ ...ends, verdict: 'deny', rule: 'no-redis', revision: 12, outcome: 'denied', detail: '' });
    const { listening, said } = await forwarding(`0:redis:${port}`, await agentWith(port, { flows: { recent } }));
    const call = async () => {
      const socket = connect(listening[0]?.port ?? 0, '127.0.0.1');
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      return error.code;
    };
    expect(await call()).toBe('ECONNRESET');
    await until(() => said.err.includes('denied'));
    expect(await call()).toBe('ECONNRESET');
    expect(said.err.match(/was denied by no-redis at revision 12: host:build-3 may not call it\n/g)).toHaveLength(1);
  });

  test.each(['nobody is there', 'nobody answers'])('says why datagrams come to nothing, where %s', async (where) => {
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    if (where === 'nobody is there') server.close();
    else closes.push(() => server.close());
    const ends = { source: 'host:build-3', service: 'redis', port, protocol: 'udp', startedMs: NOW, verdict: 'allow' };
    const recent = [
      { ...ends, rule: 'default', revision: 12, outcome: 'not-listening', detail: '127.0.0.1:9: refused' },
    ];
    const { listening, said } = await forwarding(`0:redis:${port}/udp`, await agentWith(port, { flows: { recent } }));
    const client = await datagramSocket();
    client.send('hello', listening[0]?.port ?? 0, '127.0.0.1');
    const words = `one of this host's calls to redis:${port}/udp, by host:build-3, came to nothing, not-listening: 127.0.0.1:9: refused\n`;
    await until(() => said.err.endsWith(words));
  });

  test('says where to ask why nothing comes back, where the agent here does not know', async () => {
    const { port } = (await datagramSocket()).address();
    const { listening, said } = await forwarding(`0:redis:${port}/udp`, await agentWith(port));
    const client = await datagramSocket();
    client.send('hello', listening[0]?.port ?? 0, '127.0.0.1');
    const words = `nothing comes back from redis:${port}/udp; where it is to answer, weft explain host:build-3 redis:${port}/udp says where it breaks\n`;
    await until(() => said.err.endsWith(words));
  });

  test('says what it listens on to people, and who may come where it is more than this host', async () => {
    const data = await agentWith(6379);
    const stop = new AbortController();
    const said = { out: '', err: '' };
    const ended = weftWith({ signal: stop.signal, said }, 'forward', '0.0.0.0:0:redis:6379', '--data', data);
    await until(() => said.err.includes('note: '));
    stop.abort();
    await ended;
    expect(said.out).toMatch(/^0\.0\.0\.0:\d+ leads to redis:6379\n$/);
    expect(said.err).toMatch(
      /^warning: whoever reaches 0\.0\.0\.0:\d+, from other hosts too, calls redis:6379 as a program of this host does\n/,
    );
  });

  test('says that a local port is taken, and listens on none', async () => {
    const port = await service(() => {});
    const data = await agentWith(port);
    const { code, out, err } = await weft('forward', `0:redis:${port}`, `${port}:redis:${port}`, '--data', data);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      `weft: cannot listen on 127.0.0.1:${port}: another program holds it (EADDRINUSE); name another local port, or any that is free: 0:redis:${port}\n`,
    );
  });
});

test.each([
  ['redis:6379', { address: undefined, port: 6379, called: { service: 'redis', port: 6379, protocol: 'tcp' } }],
  ['16379:redis.internal:6379', { port: 16379 }],
  ['192.0.2.7:1:redis:6379', { address: '192.0.2.7', port: 1 }],
  ['[::]:0:statsd:8125/udp', { address: '::', port: 0, called: { service: 'statsd', port: 8125, protocol: 'udp' } }],
])('%s is read', (argument, spec) => {
  expect(readForward(argument)).toMatchObject(spec);
});

test.each([
  ['redis'],
  ['localhost:1:redis:6379'],
  ['70000:redis:6379'],
  ['1:2:redis:6379'],
  [':redis:6379'],
  ['[::]redis:1'],
])('%s is wrong', (argument) => {
  expect(() => readForward(argument)).toThrow('[LOCAL:]SERVICE:PORT');
});
