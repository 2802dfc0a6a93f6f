/** Loads what is experimental in this Node: the warning of that says nothing to who runs an agent, and is no line of a log; others pass. */
export function quietly<T>(load: () => T): T {
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
