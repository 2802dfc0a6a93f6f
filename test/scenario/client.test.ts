/** The client of the API, against a real control and agents. */
import { Code, connectAdmin, errorDetails, Kind, type NetworkView, pages, watchNetwork } from '@weft/proto/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, NETWORK } from './mesh.ts';

let mesh: Mesh;
beforeAll(async () => {
  mesh = await Mesh.start('services: { redis: { kind: private, ports: [6379] } }');
});
afterAll(() => mesh.close());

test('an error tells programs why, and which field is wrong', async () => {
  using admin = await connectAdmin(mesh.operator);
  const changed = await admin
    .putService({ service: { name: 'web', kind: Kind.PRIVATE } })
    .catch((error: unknown) => error);
  expect(changed).toMatchObject({ code: Code.InvalidArgument });
  expect(errorDetails(changed)).toMatchObject({ reason: 'INVALID', fields: [{ field: 'service.ports' }] });
  const late = await admin
    .putService({ service: { name: 'web', kind: Kind.WORKER }, terms: { expectedRevision: 99n } })
    .catch((error: unknown) => error);
  expect(errorDetails(late)).toMatchObject({ reason: 'CHANGED_SINCE', fields: [] });
  expect(errorDetails(new Error('another'))).toEqual({ reason: '', metadata: {}, fields: [] });
});

test('pages are asked for one by one', async () => {
  using admin = await connectAdmin(mesh.operator);
  for (const name of ['a', 'b', 'c']) {
    await admin.putService({ service: { name, kind: Kind.WORKER } });
  }
  const names: (string | undefined)[] = [];
  const listing = pages((pageToken) => admin.listServices({ network: NETWORK, pageSize: 2, pageToken }));
  for await (const { services } of listing) names.push(services.map(({ service }) => service?.name).join());
  expect(names).toEqual(['a,b', 'c,redis']);
});

test('a token of another control is refused before a word is said', async () => {
  const [, pin = '', secret] = mesh.operator.token.split('.');
  const other = `weftadmin1.${Buffer.alloc(Buffer.from(pin, 'base64url').length).toString('base64url')}.${secret}`;
  await expect(connectAdmin({ ...mesh.operator, token: other })).rejects.toMatchObject({ code: 'pin-mismatch' });
});

test('a watch goes on over a restart of control', async () => {
  const { address, token } = mesh.operator;
  using admin = await connectAdmin({ address, token });
  const end = new AbortController();
  const watch = watchNetwork(admin, NETWORK, end.signal);
  const until = async (holds: (view: NetworkView) => boolean) => {
    for (;;) {
      const { value } = await watch.next();
      if (value === undefined || holds(value)) return;
    }
  };
  await mesh.agent('one', { services: { redis: {} } });
  await until(({ agents }) => [...agents.values()].some(({ host, connected }) => host === 'one' && connected));
  await mesh.stopControl();
  await mesh.startControl();
  await admin.putService({ service: { name: 'late', kind: Kind.WORKER } });
  await until(({ services }) => services.has('late'));
  end.abort();
  await expect(watch.next()).rejects.toThrow();
});
