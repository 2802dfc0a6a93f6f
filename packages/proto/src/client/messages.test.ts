import { create, fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';
import { AdminService, Kind, Protocol, PutServiceRequestSchema, PutServiceResponseSchema } from '@weft/proto/client';
import { adminService } from '@weft/proto/wire';
import { expect, it } from 'vitest';

it('has the calls that control serves', () => {
  expect(AdminService.methods.map((method) => `/${AdminService.typeName}/${method.name}`).sort()).toEqual(
    Object.values(adminService)
      .map(({ path }) => path)
      .sort(),
  );
});

it('encodes as control reads it, and as JSON', () => {
  const request = create(PutServiceRequestSchema, {
    service: { name: 'redis', kind: Kind.PRIVATE, ports: [{ protocol: Protocol.TCP, first: 6379, last: 6379 }] },
    terms: { wait: true, expectedRevision: 7n },
  });
  const read = adminService.putService.requestDeserialize(Buffer.from(toBinary(PutServiceRequestSchema, request)));
  expect(read).toMatchObject({
    service: { name: 'redis', ports: [{ first: 6379, last: 6379 }] },
    terms: { wait: true, expectedRevision: 7 },
  });
  const answered = adminService.putService.responseSerialize({ result: { revision: 9 } });
  expect(fromBinary(PutServiceResponseSchema, answered).result?.revision).toBe(9n);
  expect(fromJsonString(PutServiceRequestSchema, toJsonString(PutServiceRequestSchema, request))).toEqual(request);
});
