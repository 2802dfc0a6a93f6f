/** What grpc-js would refuse with a status alone, as a program meets it that speaks HTTP/2 by itself. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import { agentService, errorDetails } from '@weft/proto/wire';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Control, startControl } from '../serve.ts';
import { framed } from './raw-call.fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-refusals-'));
let control: Control;
let session: ClientHttp2Session;
let token = '';

beforeAll(async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const options = { directory, listen, dashboard: undefined, advertise: [], logLevel: 'silent' };
  control = await startControl(options, { logger: pino({ level: 'silent' }), now: Date.now });
  token = readFileSync(control.adminTokenPath, 'utf8').trim();
  session = connect(`https://${control.address}`, { rejectUnauthorized: false, servername: '' });
});
afterAll(async () => {
  session.destroy();
  await control.close();
  rmSync(directory, { recursive: true });
});

const ADMIN = '/weft.v1.AdminService/';
const EMPTY = framed(Buffer.alloc(0));
/** Begins a field that is longer than what there is. */
const RUBBISH = framed(Buffer.of(0x0a, 0x7f));

interface Sent {
  readonly path: string;
  readonly body?: Buffer;
  readonly headers?: Record<string, string>;
  /** The caller does not end its half. */
  readonly open?: boolean;
}

async function refused({ path, body = EMPTY, headers = {}, open = false }: Sent) {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${token}`,
    ...headers,
  });
  let ended: IncomingHttpHeaders = {};
  const heard = (got: IncomingHttpHeaders) => {
    ended = { ...ended, ...got };
  };
  stream.on('response', heard).on('trailers', heard).resume();
  stream.write(body);
  if (!open) stream.end();
  await once(stream, 'end');
  stream.close();
  const metadata = Metadata.fromHttp2Headers(ended);
  const { reason, fields } = errorDetails({ metadata });
  return { code: Number(ended['grpc-status']), reason, fields: fields.map(({ field }) => field) };
}

test.each<[string, Sent, status, string]>([
  ['a request that is none', { path: `${ADMIN}GetMesh`, body: RUBBISH }, status.INVALID_ARGUMENT, 'WIRE_DECODE'],
  ['one of a stream', { path: `${ADMIN}WatchNetwork`, body: RUBBISH }, status.INVALID_ARGUMENT, 'WIRE_DECODE'],
  ['a join that is none', { path: agentService.join.path, body: RUBBISH }, status.INVALID_ARGUMENT, 'OVERSIZED'],
  ['no such method', { path: `${ADMIN}NoSuch` }, status.UNIMPLEMENTED, 'NO_SUCH_METHOD'],
  ['no such service', { path: '/weft.v1.NoSuch/GetMesh' }, status.UNIMPLEMENTED, 'NO_SUCH_METHOD'],
  ['a path that is no text', { path: '/\u00ff\u00fe' }, status.UNIMPLEMENTED, 'NO_SUCH_METHOD'],
  ['no request', { path: `${ADMIN}GetMesh`, body: Buffer.alloc(0) }, status.UNIMPLEMENTED, 'NOT_ONE_MESSAGE'],
  [
    'two requests',
    { path: `${ADMIN}GetMesh`, body: Buffer.concat([EMPTY, EMPTY]) },
    status.UNIMPLEMENTED,
    'NOT_ONE_MESSAGE',
  ],
  [
    'a time that is none',
    { path: `${ADMIN}GetMesh`, headers: { 'grpc-timeout': 'soon' } },
    status.INVALID_ARGUMENT,
    'TIMEOUT',
  ],
  [
    'a time that is over',
    { path: `${ADMIN}GetMesh`, body: EMPTY.subarray(0, 3), headers: { 'grpc-timeout': '1m' }, open: true },
    status.DEADLINE_EXCEEDED,
    'DEADLINE',
  ],
])('%s has a reason that a program can read', async (_which, sent, code, reason) => {
  expect(await refused(sent)).toMatchObject({ code, reason });
});

test('a request that cannot be decoded is wrong as a whole', async () => {
  expect((await refused({ path: `${ADMIN}GetMesh`, body: RUBBISH })).fields).toEqual(['request']);
});
