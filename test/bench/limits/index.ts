/** Every bound in absolute terms, in the order they are measured. */
import { controlLoad } from './control-load.ts';
import { flowQueries } from './flows.ts';
import { idleConnections } from './idle-connections.ts';
import { idleMemory } from './idle-memory.ts';
import type { Limit } from './limit.ts';
import { longPath } from './long-path.ts';
import { memoryAfterBulk } from './memory-after-bulk.ts';
import { pingBesideBulk } from './ping-beside-bulk.ts';
import { compile, verdict } from './policy.ts';
import { slowReader } from './slow-reader.ts';

export type { Limit, Measured } from './limit.ts';

export const limits: readonly Limit[] = [
  // In this process, and first: nothing else runs yet.
  compile,
  verdict,
  flowQueries,
  idleMemory,
  idleConnections,
  pingBesideBulk,
  longPath,
  slowReader,
  memoryAfterBulk,
  controlLoad,
];
