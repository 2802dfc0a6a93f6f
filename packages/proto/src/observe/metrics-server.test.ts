import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { type MetricsServer, type MetricsServerOptions, serveMetrics } from './metrics-server.ts';

const warnings: unknown[] = [];
const logger = { warn: (...words: unknown[]) => void warnings.push(words) };

async function served(
  collect: () => Promise<string>,
  options: Partial<MetricsServerOptions> = {},
): Promise<MetricsServer & AsyncDisposable> {
  const address = { host: '127.0.0.1', port: 0 };
  const server = await serveMetrics({
    address,
    flag: '--metrics',
    collect,
    unready: () => undefined,
    logger,
    ...options,
  });
  return { ...server, [Symbol.asyncDispose]: server.close };
}

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

function ask(
  { address }: MetricsServer,
  path: string,
  { method = 'GET', host = '127.0.0.1' }: { readonly method?: string; readonly host?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: address.port, path, method, headers: { host } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (body += piece));
      response.on('end', () => {
        resolve({ status: response.statusCode, type: response.headers['content-type'], body });
      });
    });
    asked.on('error', reject).end();
  });
}

test('metrics and health are served by GET and HEAD, and nothing else is', async () => {
  await using server = await served(() => Promise.resolve('weft_up 1\n'));
  const type = 'text/plain; version=0.0.4; charset=utf-8';
  expect(await ask(server, '/metrics?x=1')).toEqual({ status: 200, type, body: 'weft_up 1\n' });
  expect(await ask(server, '/metrics', { method: 'HEAD' })).toEqual({ status: 200, type, body: '' });
  expect(await ask(server, '/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
  expect(await ask(server, '/')).toMatchObject({ status: 404 });
  expect(await ask(server, '/metrics', { method: 'POST' })).toMatchObject({ status: 405 });
});

test('readiness is what the program says of itself, and why not', async () => {
  let why: string | undefined = 'it starts';
  await using server = await served(() => Promise.resolve(''), { unready: () => why });
  expect(await ask(server, '/readyz')).toMatchObject({ status: 503, body: 'it starts\n' });
  expect(await ask(server, '/healthz')).toMatchObject({ status: 200 });
  why = undefined;
  expect(await ask(server, '/readyz')).toMatchObject({ status: 200, body: 'ok\n' });
});

test('a page that goes by another name is not answered', async () => {
  let collected = 0;
  await using server = await served(() => {
    collected += 1;
    return Promise.resolve('');
  });
  expect(await ask(server, '/metrics', { host: 'evil.example:80' })).toMatchObject({ status: 421 });
  expect(collected).toBe(0);
  expect(await ask(server, '/metrics', { host: 'localhost:1' })).toMatchObject({ status: 200 });
});

test('nor where the port is on every address, and the name leads to loopback', async () => {
  await using server = await served(() => Promise.resolve('x'), { address: { host: '0.0.0.0', port: 0 } });
  expect(await ask(server, '/metrics', { host: 'evil.example' })).toMatchObject({ status: 421 });
  expect(await ask(server, '/metrics', { host: 'localhost' })).toMatchObject({ status: 200 });
});

test('who asks and does not read is closed, so that others are served', async () => {
  const text = 'x'.repeat(16 << 20);
  await using server = await served(() => Promise.resolve(text), { answerMs: 100 });
  const strangers = Array.from({ length: 64 }, () => connect(server.address.port, '127.0.0.1').pause());
  for (const stranger of strangers) {
    await once(stranger, 'connect');
    stranger.on('error', () => {}).write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  }
  await vi.waitFor(async () => expect(await ask(server, '/healthz')).toMatchObject({ status: 200 }), 20_000);
  for (const stranger of strangers) stranger.destroy();
});

test('those who ask and do not read hold a few texts, however many they are', async () => {
  let collected = 0;
  await using server = await served(() => Promise.resolve(`${collected++}${'x'.repeat(16 << 20)}`));
  for (let at = 0; at < 12; at++) {
    const stranger = connect(server.address.port, '127.0.0.1').on('error', () => {});
    stranger.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(stranger, 'data');
    stranger.pause();
  }
  expect(collected).toBe(8);
});

test('who asks nothing makes room for who does, however many they are', async () => {
  await using server = await served(() => Promise.resolve('weft_up 1\n'));
  const silent = Array.from({ length: 164 }, () => connect(server.address.port, '127.0.0.1').on('error', () => {}));
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  expect(await ask(server, '/metrics')).toMatchObject({ status: 200, body: 'weft_up 1\n' });
  for (const socket of silent) socket.destroy();
});

test('several scrapes at once share one collection, and one that comes later has its own', async () => {
  let collected = 0;
  await using server = await served(async () => {
    collected += 1;
    const text = `collection ${collected}`;
    await new Promise((resolve) => setImmediate(resolve));
    return text;
  });
  // In one piece, and so in one turn of the server's loop.
  const socket = connect(server.address.port, '127.0.0.1').setEncoding('utf8');
  socket.end('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3));
  let answers = '';
  for await (const piece of socket) answers += piece as string;
  expect(answers.match(/collection \d+/g)).toEqual(['collection 1', 'collection 1', 'collection 1']);
  expect((await ask(server, '/metrics')).body).toBe('collection 2');
});

test('a collection that fails is an error to who asks, and the next works', async () => {
  const results = [() => Promise.resolve('x'), () => Promise.reject(new Error('secret'))];
  await using server = await served(async () => (await results.pop()?.()) ?? '');
  const refused = await ask(server, '/metrics');
  expect(refused.status).toBe(500);
  expect(refused.body).not.toContain('secret');
  expect(warnings).toHaveLength(1);
  expect(await ask(server, '/metrics')).toMatchObject({ status: 200, body: 'x' });
});

test('a port that is taken is refused in words that name the option', async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    other.listen(0, '127.0.0.1', () => {
      const bound = other.address();
      if (bound !== null && typeof bound === 'object') resolve(bound.port);
      else reject(new Error('no port'));
    });
  });
  const collect = (): Promise<string> => Promise.resolve('');
  const asked = serveMetrics({
    address: { host: '127.0.0.1', port },
    flag: '--metrics',
    collect,
    unready: () => undefined,
    logger,
  });
  await expect(asked).rejects.toMatchObject({
    code: 'taken',
    message: `cannot listen on 127.0.0.1:${port}: the port is taken by this program itself, by another of its options; choose another with --metrics`,
  });
  await new Promise((resolve) => other.close(resolve));
});
