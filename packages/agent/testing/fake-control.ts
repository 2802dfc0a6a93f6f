/** A control of a test's own making: real gRPC over real TLS, with the handlers that the test gives it. */
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type AdminHandlers, type AgentHandlers, adminService, agentService, certificatePin } from '@weft/proto/wire';
import { makeTestKeys, type TestKeys } from './certificate.ts';

export interface FakeControl {
  /** HOST:PORT. */
  readonly address: string;
  readonly pin: Uint8Array;
  readonly keys: TestKeys;
  close(): void;
}

export interface FakeControlOptions {
  readonly admin?: Partial<AdminHandlers>;
  readonly agent?: Partial<AgentHandlers>;
  readonly keys?: TestKeys;
  readonly port?: number;
}

/** Listens on a free port of 127.0.0.1 unless one is given. What has no handler answers UNIMPLEMENTED. */
export async function startFakeControl(options: FakeControlOptions): Promise<FakeControl> {
  const keys = options.keys ?? makeTestKeys();
  const server = new Server();
  server.addService(adminService, (options.admin ?? {}) as UntypedServiceImplementation);
  server.addService(agentService, (options.agent ?? {}) as UntypedServiceImplementation);
  const credentials = ServerCredentials.createSsl(null, [
    { private_key: Buffer.from(keys.keyPem), cert_chain: Buffer.from(keys.certificatePem) },
  ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    pin: certificatePin(keys.certificate),
    keys,
    close: () => server.forceShutdown(),
  };
}
