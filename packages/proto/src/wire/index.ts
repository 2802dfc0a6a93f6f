/** The border: wire to model and back, the gRPC services, and how control is reached. */
import { join } from 'node:path';

export * from './agent-telemetry.ts';
export * from './caller.ts';
export { required, sentence } from './check.ts';
export * from './delta.ts';
export * from './enums.ts';
export * from './error-details.ts';
export * from './errors.ts';
export * from './exposed.ts';
export * from './flow.ts';
export * from './grpc.ts';
export * from './mesh.ts';
export * from './message-bounds.ts';
export * from './netmap.ts';
export * from './open-flows.ts';
export type * as pb from './pb.ts';
export * from './pin.ts';
export * from './pinned.ts';
export * from './report.ts';
export * from './signature.ts';
export * from './telemetry.ts';
export * from './time.ts';
export { silent } from './unreachable.ts';

/** Folder of the .proto files, for reflection. */
export const protoDirectory: string = join(import.meta.dirname, '..', '..', 'proto');
