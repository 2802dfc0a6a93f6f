/**
 * Server reflection, as grpcurl asks for it. What it answers from is made at the first question: that takes a quarter of a second of a core, at
 * every start of a control that mostly nobody asks.
 */
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoDirectory } from '@weft/proto/wire';

const METHOD = 'ServerReflectionInfo';
/** Both versions that are published. */
const PATHS = ['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/${METHOD}`);

export function addReflection(server: Pick<Server, 'addService'>): void {
  let made: readonly Made[] | undefined;
  for (const path of PATHS) {
    const real = () => {
      made ??= make();
      return methodOf(made, path);
    };
    const definition: ServiceDefinition = {
      [METHOD]: {
        path,
        requestStream: true,
        responseStream: true,
        requestSerialize: (message) => real().definition.requestSerialize(message),
        requestDeserialize: (bytes) => real().definition.requestDeserialize(bytes),
        responseSerialize: (message) => real().definition.responseSerialize(message),
        responseDeserialize: (bytes) => real().definition.responseDeserialize(bytes),
      },
    };
    server.addService(definition, { [METHOD]: (call: unknown) => real().serve(call) });
  }
}

/** What the library would add to a server. */
interface Made {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

function make(): readonly Made[] {
  const made: Made[] = [];
  const added = {
    addService: (...[definition, implementation]: [...Parameters<Server['addService']>]) =>
      made.push({ definition, implementation }),
  };
  new ReflectionService(
    loadSync(['weft/v1/admin.proto', 'weft/v1/agent.proto'], { includeDirs: [protoDirectory] }),
  ).addToServer(added as unknown as Pick<Server, 'addService'>);
  return made;
}

function methodOf(made: readonly Made[], path: string) {
  for (const { definition, implementation } of made) {
    const method = definition[METHOD];
    if (method?.path === path) return { definition: method, serve: implementation[METHOD] as (call: unknown) => void };
  }
  throw new Error(`no reflection at ${path}`);
}
