/** gRPC calls made of bytes, as a stranger may make them; and a server for them. */
import { type ClientHttp2Stream, connect } from 'node:http2';
import {
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

export class RawCalls {
  readonly #closers: (() => void)[] = [];

  /** Serves without TLS on a free port; the answer is HOST:PORT. */
  async serve(
    service: ServiceDefinition,
    handlers: UntypedServiceImplementation,
    interceptors: ServerInterceptor[],
    options: Record<string, number> = {},
  ): Promise<string> {
    const server = new Server({ interceptors, ...options });
    server.addService(service, handlers);
    this.#closers.push(() => server.forceShutdown());
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(`127.0.0.1:${port}`);
        else reject(error);
      });
    });
  }

  /** A call that has said `bytes` and may say more. */
  open(address: string, path: string, bytes: Uint8Array, headers: Record<string, string> = {}): ClientHttp2Stream {
    const session = connect(`http://${address}`);
    this.#closers.push(() => session.destroy());
    const all = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
    const stream = session.request(all, { endStream: false });
    stream.write(bytes);
    stream.on('error', () => undefined).resume();
    return stream;
  }

  close(): void {
    for (const close of this.#closers.splice(0).reverse()) close();
  }
}

const asItIs = (bytes: Buffer): Buffer => bytes;

/** A method whose messages are bytes. */
export function rawMethod(path: string, requestStream: boolean, responseStream: boolean) {
  const codec = {
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  };
  return { path, requestStream, responseStream, ...codec };
}

/** A message as it is on the wire: `length` is what the prefix says. */
export function framed(message: Uint8Array, { compressed = false, length = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
