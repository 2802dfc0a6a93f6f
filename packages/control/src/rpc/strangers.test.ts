/** Clients that are not Weft's own, or that prove nothing. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type ChannelCredentials,
  type Client,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { adminService, callServerStream, callUnary } from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminBench, metadata, redis, refusal, startAdmin, TOKEN } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

describe('without the bearer', () => {
  const call = (value: string | undefined): Promise<ServiceError> => {
    const sent = new Metadata();
    if (value !== undefined) sent.set('authorization', value);
    return refusal(callUnary(bench.client, adminService.getStatus, {}, { metadata: sent }));
  };

  test('nothing is served; too many failures are told so, and the right token still passes', async () => {
    const answers = [await call(undefined), await call('Bearer wrong'), await call(TOKEN), await call('Bearer wrong')];
    expect(answers.map(({ code }) => code)).toEqual([
      status.UNAUTHENTICATED,
      status.UNAUTHENTICATED,
      status.UNAUTHENTICATED,
      status.RESOURCE_EXHAUSTED,
    ]);
    expect(answers[0]?.details).toContain('Bearer TOKEN');
    expect(await bench.ask(adminService.getStatus, {})).toMatchObject({ version: '1.2.3' });
    const stream = callServerStream(bench.client, adminService.watchFlows, {});
    const error = await new Promise<ServiceError>((resolve) =>
      stream.once('error', (cause) => resolve(cause as ServiceError)).resume(),
    );
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

/** What a client like grpcurl does: it knows the reflection protocol, and learns everything else from the server. */
test('a client that knows nothing drives the admin API by reflection', async () => {
  interface Dynamic {
    new (address: string, credentials: ChannelCredentials): Client & Record<string, CallableFunction>;
  }
  const home = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const schema = loadSync('grpc/reflection/v1/reflection.proto', { includeDirs: [join(home, 'build', 'proto')] });
  const service = (root: unknown, path: string): Dynamic =>
    path.split('.').reduce((at, name) => (at as Record<string, unknown>)[name], root) as Dynamic;
  const reflection = new (service(loadPackageDefinition(schema), 'grpc.reflection.v1.ServerReflection'))(
    bench.address,
    bench.credentials,
  );
  const stream = reflection.ServerReflectionInfo?.();
  const reply = new Promise<{ fileDescriptorResponse: { fileDescriptorProto: Buffer[] } }>((resolve, reject) => {
    stream.on('data', resolve).on('error', reject);
  });
  stream.write({ fileContainingSymbol: 'weft.v1.AdminService' });
  const files = (await reply).fileDescriptorResponse.fileDescriptorProto;
  stream.end();
  reflection.close();

  // FileDescriptorSet: repeated FileDescriptorProto file = 1.
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  const set = Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), file]));
  const learned = loadPackageDefinition(loadFileDescriptorSetFromBuffer(set));
  const admin = new (service(learned, 'weft.v1.AdminService'))(bench.address, bench.credentials);
  const mesh = await new Promise<{ mesh: { network: string } }>((resolve, reject) => {
    admin.GetMesh?.({}, metadata, (error: Error | null, answer: { mesh: { network: string } }) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
  admin.close();
  expect(mesh.mesh.network).toBe('prod');
});

test('health is served without a token', async () => {
  const method = {
    path: '/grpc.health.v1.Health/Check',
    requestSerialize: () => Buffer.alloc(0),
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
    bench.client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      (error, bytes) => {
        if (error === null) resolve(bytes);
        else reject(error);
      },
    );
  });
  // HealthCheckResponse.status = SERVING (1).
  expect([...(answer ?? [])]).toEqual([0x08, 0x01]);
});
