/** node:ffi, which is experimental: of Node 26 and later, unless it runs with --no-experimental-ffi. */
import { quietly } from './quietly.ts';

/** `Ffi` is what is used of it. Undefined where this Node has none; throws where it is not permitted. */
export function nodeFfi<Ffi>(): Ffi | undefined {
  return quietly(() => process.getBuiltinModule('node:ffi') as unknown as Ffi | undefined);
}
