/** The API as a program that speaks HTTP and JSON meets it. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminBench, READ_TOKEN, startAdmin, TOKEN } from './admin.fixture.ts';
import type { AdminCalls } from './calls.ts';
import { HttpCalls, type PageSession } from './http-calls.ts';

let bench: AdminBench;
let calls: HttpCalls;
let server: Server;
let base = '';
let session: PageSession | undefined;
const ended: { readonly path: string; readonly code: number; readonly stream: boolean }[] = [];

beforeAll(async () => {
  bench = await startAdmin();
  const { gate } = bench;
  const observer = { ended: (call: (typeof ended)[number]) => void ended.push(call) };
  calls = new HttpCalls({ calls: bench.calls, gate, observer, logger: pino({ level: 'silent' }) });
  server = createServer((request, response) => calls.serve(request, response, session));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weft.v1.AdminService/`;
  await ask('Apply', { mesh: { network: 'prod', services: [redis] } });
});

afterAll(async () => {
  await calls.close(100);
  server.closeAllConnections();
  server.close();
  await bench.close();
});

const redis = { name: 'redis', kind: 'KIND_PRIVATE', ports: [{ protocol: 'PROTOCOL_TCP', first: 6379, last: 6379 }] };
const bearer = { authorization: `Bearer ${TOKEN}` };

function post(
  method: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${base}${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer, ...headers },
    body,
  });
}

async function ask(method: string, request: object, headers: Record<string, string> = {}) {
  const response = await post(method, JSON.stringify(request), headers);
  return { http: response.status, ...((await response.json()) as Record<string, unknown>) };
}

function enveloped(text: string, flags = 0): Buffer<ArrayBuffer> {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

const streaming = { 'content-type': 'application/connect+json' };

/** The messages of a stream and what ended it, as they come. */
async function* parts(response: Response): AsyncGenerator<{ end: boolean; value: Record<string, unknown> }> {
  let buffered = Buffer.alloc(0);
  for await (const piece of response.body ?? []) {
    buffered = Buffer.concat([buffered, piece as Uint8Array]);
    while (buffered.length >= 5 && buffered.length >= 5 + buffered.readUInt32BE(1)) {
      const to = 5 + buffered.readUInt32BE(1);
      yield { end: buffered[0] === 2, value: JSON.parse(buffered.toString('utf8', 5, to)) };
      buffered = buffered.subarray(to);
    }
  }
}

async function all<Part>(told: AsyncIterable<Part>): Promise<Part[]> {
  const gathered: Part[] = [];
  for await (const part of told) gathered.push(part);
  return gathered;
}

describe('one answer', () => {
  test('is proto3 JSON: enums by name, times in RFC 3339, 64 bits as text', async () => {
    expect(await ask('GetStatus', {})).toMatchObject({
      http: 200,
      version: '1.2.3',
      startTime: '1970-01-01T00:00:00.005Z',
      networks: [{ network: 'prod', revision: '1' }],
    });
    expect(await ask('GetMesh', {})).toMatchObject({
      mesh: { services: [redis] },
      revision: '1',
    });
  });

  test('a change takes lengths as text, and is audited with who asked', async () => {
    const changed = await ask('PutService', {
      service: { ...redis, tags: ['cache'] },
      terms: { dryRun: false, wait: true, timeout: '3s', expected_revision: '1' },
    });
    expect(changed).toMatchObject({ http: 200, result: { revision: '2' } });
    expect(bench.waited).toEqual(['prod', 2, 3_000]);
    const { entries } = (await ask('ListAudit', { pageSize: 1 })) as unknown as { entries: unknown };
    expect(entries).toMatchObject([
      { actor: { kind: 'ACTOR_KIND_ADMIN', name: '127.0.0.1' }, action: 'service-put', revision: '2' },
    ]);
  });

  test.each([
    ['a key that nothing has', { service: { ...redis, prots: [] } }, 'service.prots'],
    ['one within a list', { service: { ...redis, ports: [{ frist: 1 }] } }, 'service.ports[0].frist'],
    ['a wrong type', { service: { ...redis, ports: [{ first: 'x' }] } }, 'service.ports[0].first'],
    ['a name that no enum has', { service: { ...redis, kind: 'KIND_ODD' } }, 'service.kind'],
    ['half a character', { service: { ...redis, tags: ['\ud800'] } }, 'service.tags[0]'],
    ['__proto__', JSON.parse('{"__proto__": {"network": "prod"}}'), '__proto__'],
    ['what the call itself refuses', { terms: {} }, 'service'],
  ])('names the field of %s', async (_name, request, field) => {
    expect(await ask('PutService', request)).toMatchObject({
      http: 400,
      code: 'invalid_argument',
      details: [
        { type: 'google.rpc.ErrorInfo', value: expect.stringMatching(/^[\w+/]+$/), debug: { domain: 'weft' } },
        { type: 'google.rpc.BadRequest', debug: { fieldViolations: [{ field }] } },
      ],
    });
  });

  test('tells a mesh as the file that makes it, also as it was', async () => {
    const file = 'network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\ndefault: allow\n';
    const asked = await ask('GetMesh', { revision: '1', asFile: true });
    expect(asked).toEqual({ http: 200, revision: '1', file });
  });

  test.each(['', '[]', '1', '{', '{"network":"a","network":"b"}', '[[[[', 'null'])('%j is no request', async (text) => {
    const response = await post('GetStatus', text);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, 'invalid_argument']);
  });

  test('says what is not there', async () => {
    expect(await ask('DeleteService', { name: 'no-such' })).toMatchObject({
      http: 404,
      code: 'not_found',
      details: [{ debug: { reason: 'NO_SUCH_SERVICE' } }],
    });
    expect(await ask('NoSuchCall', {})).toMatchObject({
      http: 404,
      code: 'unimplemented',
      details: [{ debug: { reason: 'NO_SUCH_METHOD', domain: 'weft' } }],
    });
  });
});

test.each(['GET', 'HEAD', 'PUT'])('%s is answered as what calls refuse is', async (method) => {
  const response = await fetch(`${base}GetStatus?connect=v1`, { method });
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  if (method === 'HEAD') return;
  const refused = { code: 'unimplemented', details: [{ debug: { reason: 'WRONG_METHOD', domain: 'weft' } }] };
  expect(await response.json()).toMatchObject(refused);
});

describe('who may', () => {
  test('the read token sees, and changes nothing', async () => {
    const headers = { authorization: `Bearer ${READ_TOKEN}` };
    expect(await ask('ListServices', {}, headers)).toMatchObject({ http: 200, services: [{ service: redis }] });
    expect(await ask('DeleteService', { name: 'redis' }, headers)).toMatchObject({
      http: 403,
      code: 'permission_denied',
    });
  });

  test.each([
    ['none', {}],
    ['a wrong one', { authorization: 'Bearer weftadmin1.pin.other' }],
    ['no bearer', { authorization: 'Basic YTpi' }],
  ])('with %s nothing of what is sent is looked at', async (_name, headers: Record<string, string>) => {
    const response = await fetch(`${base}GetStatus`, { method: 'POST', headers, body: 'x'.repeat(1_000) });
    expect([response.status, await response.json()]).toMatchObject([
      expect.toBeOneOf([401, 429]),
      { code: expect.toBeOneOf(['unauthenticated', 'resource_exhausted']) },
    ]);
  });

  test('a session counts where no bearer came, and ends what it began', async () => {
    const over = new AbortController();
    session = { role: 'read', ended: over.signal };
    try {
      const headers = { 'content-type': 'application/json' };
      const asked = (more: object) =>
        fetch(`${base}GetStatus`, { method: 'POST', headers: { ...headers, ...more }, body: '{}' });
      expect((await asked({})).status).toBe(200);
      expect((await asked({ authorization: 'Bearer wrong' })).status).not.toBe(200);
      const watched = await fetch(`${base}WatchNetwork`, { method: 'POST', headers: streaming, body: enveloped('{}') });
      const told = parts(watched);
      expect(await told.next()).toMatchObject({ value: { end: false } });
      over.abort();
      expect(await told.next()).toMatchObject({ value: { end: true, value: { error: { code: 'unauthenticated' } } } });
    } finally {
      session = undefined;
    }
  });
});

describe('what is not taken', () => {
  test.each([
    ['another type', { 'content-type': 'application/proto' }, 415, 'invalid_argument'],
    ['a type of streams', streaming, 415, 'invalid_argument'],
    ['another set of characters', { 'content-type': 'application/json; charset=latin1' }, 415, 'invalid_argument'],
    ['a compressed body', { 'content-encoding': 'gzip' }, 501, 'unimplemented'],
    ['another protocol', { 'connect-protocol-version': '2' }, 400, 'invalid_argument'],
    ['no time', { 'connect-timeout-ms': 'soon' }, 400, 'invalid_argument'],
  ])('%s', async (_name, headers: Record<string, string>, http, code) => {
    expect(await ask('GetStatus', {}, headers)).toMatchObject({ http, code });
  });

  test.each([
    ['GetStatus', 65 * 1024],
    ['PutService', 9 * 1024 * 1024],
  ])('a body of %s that is larger than its messages may be, announced or not', async (method, bytes) => {
    const large = Buffer.alloc(bytes, ' ');
    const announced = await post(method, large);
    expect([announced.status, await announced.json()]).toMatchObject([429, { code: 'resource_exhausted' }]);
    const unannounced = await fetch(`${base}${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer },
      body: new Blob([large]).stream(),
      duplex: 'half',
    });
    expect(unannounced.status).toBe(429);
  });

  test('more objects than any mesh has, before they are made', async () => {
    const response = await post('Apply', `{"mesh":{"services":[${'{},'.repeat(500_000)}{}]}}`);
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { message: expect.stringMatching(/objects and lists/) },
    ]);
  });

  test('what is not UTF-8', async () => {
    expect((await post('GetStatus', Buffer.from([0x22, 0xff, 0x22]))).status).toBe(400);
  });

  test.each([
    ['a compressed message', enveloped('{}', 1), 'unimplemented'],
    ['two', Buffer.concat([enveloped('{}'), enveloped('{}')]), 'invalid_argument'],
    ['half of one', enveloped('{}').subarray(0, 6), 'invalid_argument'],
    ['none', Buffer.alloc(0), 'invalid_argument'],
  ])('of a stream, %s', async (_name, body, code) => {
    const response = await post('WatchNetwork', body, streaming);
    const [first] = await all(parts(response));
    expect([response.status, first]).toMatchObject([200, { end: true, value: { error: { code } } }]);
  });
});

describe('time', () => {
  test('a call that waits for longer than its caller ends by itself', async () => {
    const response = await post('WatchNetwork', enveloped('{}'), { ...streaming, 'connect-timeout-ms': '1000' });
    const told = await all(parts(response));
    expect(told.map(({ end }) => end)).toEqual([false, true]);
    expect(told[1]?.value).toMatchObject({ error: { code: 'deadline_exceeded' } });
  });

  test('so does one whose body does not come', async () => {
    const { port, address } = server.address() as AddressInfo;
    const socket = connect(port, address);
    socket.write(
      `POST /weft.v1.AdminService/GetStatus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\n` +
        'connect-timeout-ms: 50\r\ncontent-length: 10\r\n\r\n{',
    );
    const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 504 /);
  });
});

describe('a stream', () => {
  test('tells changes as they come, two at once, and ends with its caller', async () => {
    ended.length = 0;
    const leaving = new AbortController();
    const open = () =>
      fetch(`${base}WatchNetwork`, {
        method: 'POST',
        headers: { ...bearer, ...streaming },
        body: enveloped('{"network":"prod"}'),
        signal: leaving.signal,
      });
    const [one, other] = (await Promise.all([open(), open()])).map(parts);
    expect((await one?.next())?.value).toMatchObject({ end: false, value: { snapshot: true } });
    expect((await other?.next())?.value).toMatchObject({ end: false, value: { snapshot: true } });
    await ask('PutService', { service: { ...redis, name: 'second' } });
    for (const told of [one, other]) {
      expect((await told?.next())?.value).toMatchObject({ value: { services: [{ service: { name: 'second' } }] } });
    }
    leaving.abort();
    const path = '/weft.v1.AdminService/WatchNetwork';
    await expect
      .poll(() => ended.filter((call) => call.path === path))
      .toMatchObject([
        { code: 1, stream: true },
        { code: 1, stream: true },
      ]);
  });

  test('a role has so many, and the other its own', async () => {
    const leaving = new AbortController();
    const again = new AbortController();
    const open = (token: string, { signal } = leaving) =>
      fetch(`${base}WatchFlows`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, ...streaming },
        body: enveloped('{}'),
        signal,
      });
    const opened = await Promise.all(Array.from({ length: 16 }, () => open(TOKEN)));
    const one = await open(TOKEN);
    const details = [{ debug: { reason: 'TOO_MANY_STREAMS' } }];
    expect(await all(parts(one))).toMatchObject([{ value: { error: { code: 'resource_exhausted', details } } }]);
    expect(opened.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 200));
    // A watch that is let in tells where it begins.
    const begins = async (response: Response): Promise<unknown> => {
      const first = await parts(response).next();
      return first.value?.end;
    };
    expect(await begins(await open(READ_TOKEN))).toBe(false);
    leaving.abort();
    await expect.poll(async () => begins(await open(TOKEN, again))).toBe(false);
    again.abort();
  });
});

test('a reader that is slow is waited for, and holds no more than a connection does', async () => {
  let written = 0;
  let over: unknown;
  const detail = 'x'.repeat(100_000);
  const endless: AdminCalls = {
    ...bench.calls,
    watchFlows: async ({ write }) => {
      try {
        for (;;) {
          await write({ flow: { detail } });
          written += 1;
        }
      } catch (error) {
        over = error;
        throw error;
      }
    },
  };
  const slow = new HttpCalls({ calls: endless, gate: bench.gate, logger: pino({ level: 'silent' }) });
  const listener = createServer((request, response) => slow.serve(request, response, undefined));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port, address } = listener.address() as AddressInfo;
  const socket = connect(port, address).pause();
  const head = `POST /weft.v1.AdminService/WatchFlows HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
  socket.write(`${head}content-type: application/connect+json\r\ncontent-length: 7\r\n\r\n`);
  socket.write(enveloped('{}'));
  let before = -1;
  await expect
    .poll(
      () => {
        const still = written > 0 && written === before;
        before = written;
        return still;
      },
      { interval: 200, timeout: 10_000 },
    )
    .toBe(true);
  // What the kernel holds of a connection is some megabytes.
  expect(written).toBeLessThan(200);
  socket.destroy();
  await expect.poll(() => over).toMatchObject({ status: { code: 1 } });
  listener.close();
});

test('a stream ends, and says why, when control closes; a call that answers once is finished', async () => {
  const told = parts(await post('WatchNetwork', enveloped('{}'), streaming));
  await told.next();
  await calls.close(1_000);
  expect(await told.next()).toMatchObject({ value: { end: true, value: { error: { code: 'unavailable' } } } });
});
