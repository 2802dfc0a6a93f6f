/** Requests that leave out some of their fields: each is answered, and control goes on. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { adminService, type UnaryMethod } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminBench, redis, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

type Message = Readonly<Record<string, object | string | number | boolean>>;

/** Of all calls together; what one does not have it does not send. */
const FIELDS: Message = {
  network: 'prod',
  mesh: { network: 'prod' },
  terms: { dryRun: true },
  service: redis,
  policy: { name: 'r', action: 2, from: ['redis'], to: ['redis'] },
  name: 'redis',
  agent: 'none',
  services: ['redis'],
  take: true,
  confirm: 'x',
  revision: 1,
  host: 'web',
  withToken: true,
  roles: [1],
  reusable: true,
  ttl: { seconds: 5 },
  addresses: ['192.0.2.4:5'],
  tokenId: 'tk_none',
  from: { service: 'redis' },
  port: 6379,
  protocol: 1,
  filter: {},
  pageSize: 5,
  pageToken: 'x',
};
/** Of a call that has more, each field is left out, or sent, by itself. */
const MOST_FIELDS = 5;

type AnyMethod = UnaryMethod<Message, unknown>;

function sends(method: AnyMethod, message: Message): boolean {
  try {
    return method.requestSerialize(message).length > 0;
  } catch {
    // Of that name it has another.
    return false;
  }
}

function* requestsOf(method: AnyMethod): Generator<Message> {
  const fields = Object.entries(FIELDS).filter(([name, value]) => sends(method, { [name]: value }));
  if (fields.length > MOST_FIELDS) {
    yield {};
    for (const one of fields) {
      yield Object.fromEntries([one]);
      yield Object.fromEntries(fields.filter((other) => other !== one));
    }
    return;
  }
  for (let mask = 0; mask < 2 ** fields.length; mask++)
    yield Object.fromEntries(fields.filter((_, at) => ((mask >> at) & 1) === 1));
}

const methods = Object.entries(adminService).flatMap(([name, method]) =>
  method.responseStream ? [] : [[name, method as unknown as AnyMethod] as const],
);

test.each(methods)('%s', async (_, method) => {
  for (const request of requestsOf(method)) {
    const code = await bench.ask(method, request).then(
      () => status.OK,
      ({ code }: ServiceError) => code,
    );
    expect([status.INTERNAL, status.UNKNOWN, status.UNAVAILABLE], JSON.stringify(request)).not.toContain(code);
  }
});
