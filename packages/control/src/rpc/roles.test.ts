import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  AdminClient,
  type AdminHandlers,
  type AgentHandlers,
  adminService,
  bearerMetadata,
  callServerStream,
  callUnary,
  errorDetails,
  pinnedCredentials,
  protoDirectory,
} from '@weft/proto/wire';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAuditLog } from '../audit/log.ts';
import { openRefusalAudit } from '../audit/refusals.ts';
import type { Actor, AuditLog } from '../audit/types.ts';
import { FailureCounter } from '../bounds/failures.ts';
import { openKeys } from '../enroll/certificate.ts';
import { openCredentials } from '../enroll/credentials.ts';
import { Store } from '../store/store.ts';
import { adminAuth, adminGate, CallActors } from './admin-auth.ts';
import { ProvedCalls } from './call-stream.ts';
import { Connections } from './connections.ts';
import { ADMIN_PATHS, READ_PATHS } from './roles.ts';
import { ControlServer } from './server.ts';

type Name = keyof typeof adminService;
const names = Object.keys(adminService) as Name[];
const isStream = (name: Name): boolean => adminService[name].responseStream;

const directory = mkdtempSync(join(tmpdir(), 'weft-roles-'));
const logger = pino({ level: 'silent' });
const keys = await openKeys({ directory, names: ['127.0.0.1'] });
const credentials = await openCredentials(directory, keys.pin);
const text = (file: string): string => readFileSync(join(directory, file), 'utf8').trim();
const tokens = { admin: text('admin.token'), read: text('read.token') };

let clock = 1_700_000_000_000;
let audit: AuditLog;
let server: ControlServer;
let client: AdminClient;
/** Who made the calls that reached a handler, as the handler was told. */
let served: (Actor & { readonly name: string })[] = [];

beforeAll(async () => {
  const actors = new CallActors();
  const now = (): number => clock;
  audit = openAuditLog({ store: Store.inMemory(), now });
  const handlers = names.map((name) => {
    const serve = (
      call: { metadata: Metadata; end?: () => void },
      callback?: (error: null, answer: object) => void,
    ) => {
      served.push({ ...actors.of(call.metadata), name });
      if (isStream(name)) call.end?.();
      else callback?.(null, {});
    };
    return [name, serve];
  });
  const agents: AgentHandlers = {
    join: (_call, callback) => callback({ code: status.UNIMPLEMENTED }),
    connect: (call) => void call.end(),
  };
  const failures = new FailureCounter({ failures: 1_000, windowMs: 60_000, remembered: 8 }, now);
  const refusals = openRefusalAudit({ audit, now, logger });
  server = new ControlServer({
    ...keys,
    admin: Object.fromEntries(handlers) as unknown as AdminHandlers,
    agents,
    interceptors: [
      adminAuth({ gate: adminGate({ credentials, failures, refusals, logger }), actors, proved: new ProvedCalls() }),
    ],
    connections: new Connections(),
    logger,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  client = new AdminClient(`127.0.0.1:${port}`, await pinnedCredentials(`127.0.0.1:${port}`, keys.pin));
});

afterAll(async () => {
  client.close();
  await server.close(100);
  rmSync(directory, { recursive: true });
});

/** The status of a call with nothing in it: OK when it was served. */
async function call(name: Name, metadata: Metadata): Promise<Pick<ServiceError, 'code' | 'details' | 'metadata'>> {
  const ok = { code: status.OK, details: '', metadata: new Metadata() };
  if (isStream(name)) {
    const stream = callServerStream(client, adminService[name] as typeof adminService.watchFlows, {}, { metadata });
    return await new Promise((resolve) => {
      stream.once('error', (error) => resolve(error as ServiceError));
      stream.once('end', () => resolve(ok)).resume();
    });
  }
  const method = adminService[name] as Exclude<(typeof adminService)[Name], typeof adminService.watchFlows>;
  return await callUnary<object, object>(client, method as never, {}, { metadata }).then(
    () => ok,
    (error: ServiceError) => error,
  );
}

/** The calls whose comment in admin.proto ends in "Read token.". */
function markedInProto(): string[] {
  const lines = readFileSync(join(protoDirectory, 'weft/v1/admin.proto'), 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const method = /^ {2}rpc (\w+)\(/.exec(line)?.[1];
    if (method === undefined) return [];
    let comment = '';
    for (let at = index - 1; lines[at]?.startsWith('  //') === true; at--) comment = `${lines[at]} ${comment}`;
    return comment.includes('Read token.') ? [`/weft.v1.AdminService/${method}`] : [];
  });
}

test('the read token is enough for what admin.proto marks so, and for nothing else', () => {
  expect(new Set(markedInProto())).toEqual(READ_PATHS);
  expect(READ_PATHS.size).toBeLessThan(ADMIN_PATHS.size);
});

describe.each(names)('%s', (name) => {
  const mayRead = markedInProto().includes(adminService[name].path);

  test('is served to the admin token, and its handler knows who asks', async () => {
    served = [];
    expect((await call(name, bearerMetadata(tokens.admin))).code).toBe(status.OK);
    expect(served).toEqual([{ role: 'admin', address: '127.0.0.1', name }]);
  });

  test(`is ${mayRead ? '' : 'not '}served to the read token`, async () => {
    served = [];
    const answer = await call(name, bearerMetadata(tokens.read));
    if (mayRead) {
      expect(served).toEqual([{ role: 'read', address: '127.0.0.1', name }]);
      return;
    }
    expect(answer.code).toBe(status.PERMISSION_DENIED);
    expect(answer.details).toMatch(/needs the admin token.*given is the read token/);
    expect(errorDetails(answer).reason).toBe('NOT_ADMIN');
    expect(served).toEqual([]);
  });

  test('is not served to anybody else', async () => {
    served = [];
    expect((await call(name, new Metadata())).code).toBe(status.UNAUTHENTICATED);
    expect((await call(name, bearerMetadata(`${tokens.admin}x`))).code).toBe(status.UNAUTHENTICATED);
    expect(served).toEqual([]);
  });
});

test('whoever the metadata says one is, the token decides', async () => {
  served = [];
  const metadata = bearerMetadata(tokens.read);
  for (const key of ['role', 'actor', 'address', 'x-weft-actor', 'x-weft-role', 'x-forwarded-for', 'forwarded']) {
    metadata.set(key, 'admin 10.0.0.1');
  }
  await call('getStatus', metadata);
  expect(served).toEqual([{ role: 'read', address: '127.0.0.1', name: 'getStatus' }]);
  expect((await call('apply', metadata)).code).toBe(status.PERMISSION_DENIED);
  const two = bearerMetadata(tokens.read);
  two.add('authorization', `Bearer ${tokens.admin}`);
  expect((await call('apply', two)).code).not.toBe(status.OK);
});

test('what was refused is in the audit once a minute for an address, and without the token', async () => {
  const refused = (): Promise<readonly unknown[]> => audit.list({ network: '', limit: 100 });
  clock += 3_600_000;
  const before = (await refused()).length;
  for (let round = 0; round < 5; round++) await call('revokeAgent', bearerMetadata(tokens.read));
  expect((await refused()).length).toBe(before + 1);
  expect((await refused())[0]).toMatchObject({
    actor: 'read 127.0.0.1',
    action: 'call-refused',
    subject: 'RevokeAgent',
  });
  clock += 60_000;
  await call('getStatus', bearerMetadata('weftadmin1.wrong.secret'));
  expect((await refused())[0]).toMatchObject({
    actor: 'nobody 127.0.0.1',
    action: 'call-refused',
    subject: 'GetStatus',
  });
  expect(JSON.stringify(await refused())).not.toMatch(/weftadmin1/);
  // Nothing that was served is a line.
  clock += 60_000;
  await call('getStatus', bearerMetadata(tokens.read));
  expect((await refused()).length).toBe(before + 2);
});
