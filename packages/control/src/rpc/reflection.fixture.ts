/** A client like grpcurl: it knows the reflection protocol, and learns everything else from the server. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ChannelCredentials, type ChannelOptions, type Client, loadPackageDefinition } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';

/** With a function for each call. */
export type ReflectedClient = Client & Record<string, CallableFunction | undefined>;

interface Reflected {
  new (address: string, credentials: ChannelCredentials, options: ChannelOptions): ReflectedClient;
}

/** Enums by their names, 64-bit numbers as texts, and nothing where a field has its default. */
const AS_JSON = { enums: String, longs: String } as const;

/** Node 26 refuses an address as TLS server name; the credentials know whom to expect. */
const NAMED: ChannelOptions = { 'grpc.ssl_target_name_override': 'weft-control' };

export async function reflectAdmin(
  address: string,
  credentials: ChannelCredentials,
  version: 'v1' | 'v1alpha' = 'v1',
): Promise<ReflectedClient> {
  const home = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const schema = loadSync(`grpc/reflection/${version}/reflection.proto`, {
    includeDirs: [join(home, 'build', 'proto')],
  });
  const Reflection = service(loadPackageDefinition(schema), `grpc.reflection.${version}.ServerReflection`);
  const reflection = new Reflection(address, credentials, NAMED);
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
  const learned = loadPackageDefinition(loadFileDescriptorSetFromBuffer(set, AS_JSON));
  const Admin = service(learned, 'weft.v1.AdminService');
  return new Admin(address, credentials, NAMED);
}

function service(root: unknown, path: string): Reflected {
  return path.split('.').reduce((at, name) => (at as Record<string, unknown>)[name], root) as Reflected;
}
