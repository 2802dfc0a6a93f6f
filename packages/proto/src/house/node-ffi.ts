/** node:ffi, which is experimental: of Node 26 and later, unless it runs with --no-experimental-ffi. */

/** `Ffi` is what is used of it. Undefined where this Node has none; throws where it is not permitted. */
export function nodeFfi<Ffi>(): Ffi | undefined {
  return quietly(() => process.getBuiltinModule('node:ffi') as unknown as Ffi | undefined);
}

/** The warning that the module is experimental says nothing to who runs an agent; others pass. */
function quietly<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = ((...args: Parameters<typeof emitWarning>) => {
    if ((args as readonly unknown[])[1] !== 'ExperimentalWarning') emitWarning.apply(process, args);
  }) as typeof emitWarning;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
