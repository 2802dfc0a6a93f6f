/** Clients that are not Weft's own, or that prove nothing. */
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { adminService, callServerStream, callUnary } from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminBench, metadata, redis, refusal, startAdmin, TOKEN } from './admin.fixture.ts';
import { reflectAdmin } from './reflection.fixture.ts';

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
test.each(['v1', 'v1alpha'] as const)(
  'a client that knows nothing drives the admin API by reflection, %s',
  async (version) => {
    const admin = await reflectAdmin(bench.address, bench.credentials, version);
    const mesh = await new Promise<{ mesh: { network: string } }>((resolve, reject) => {
      admin.GetMesh?.({}, metadata, (error: Error | null, answer: { mesh: { network: string } }) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
    admin.close();
    expect(mesh.mesh.network).toBe('prod');
  },
);

function reach(address: string): Socket {
  const [host, port] = address.split(':');
  return dial(Number(port), host);
}

describe('without TLS', () => {
  test('who speaks HTTP is told that the port speaks TLS, and where plain HTTP is', async () => {
    const answer = await fetch(`http://${bench.address}/weft.v1.AdminService/GetStatus`, {
      method: 'POST',
      body: '{}',
    });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(/speaks TLS.*--dashboard/)]);
  });

  test('so is who speaks HTTP/2, and gRPC in it', async () => {
    const session = connect(`http://${bench.address}`);
    session.on('error', () => undefined);
    const [code, , words] = (await once(session, 'goaway')) as [number, number, Buffer];
    session.destroy();
    expect([code, words.toString()]).toEqual([
      constants.NGHTTP2_INADEQUATE_SECURITY,
      expect.stringContaining('speaks TLS'),
    ]);
  });

  test('who says nothing that is known is let go', async () => {
    for (const said of ['\0\0\0', 'get / ', '']) {
      const socket = reach(bench.address).on('error', () => undefined);
      socket.end(said);
      await once(socket.resume(), 'close');
    }
  });

  test('and who begins TLS byte by byte is served', async () => {
    const relay = createServer({ noDelay: true }, (near) => {
      const far = reach(bench.address).setNoDelay();
      far.pipe(near);
      near.on('data', (bytes: Buffer) => {
        for (const byte of bytes) far.write(Buffer.from([byte]));
      });
      near.on('close', () => far.destroy());
    });
    await once(relay.listen(0, '127.0.0.1'), 'listening');
    const { port } = relay.address() as AddressInfo;
    const session = connectTls({
      port,
      host: '127.0.0.1',
      servername: '',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await once(session, 'secureConnect');
    expect(session.alpnProtocol).toBe('h2');
    session.destroy();
    relay.close();
  });
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
