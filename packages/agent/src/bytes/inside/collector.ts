/** Collections of this thread's heap, which Node leaves to V8. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects the young generation of this thread's heap: garbage a few milliseconds old, in well under one. */
export function youngCollector(): (() => void) | undefined {
  return collector && (() => collector({ type: 'minor' }));
}

/**
 * Collects everything in this thread's heap and gives free pages back to the system: V8 collects twice, so it takes some
 * 60 to 120 ms. Where V8 knows no flavours it collects once, and keeps the pages. With `code`, what V8 compiled goes too, but for what is
 * running: it compiles again what is called again. By itself it does so after six collections, which an idle agent does not come to.
 */
export function fullCollector(): ((code: boolean) => void) | undefined {
  if (collector === undefined) return undefined;
  return (code) => {
    if (code) setFlagsFromString('--stress-flush-code');
    try {
      collector({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    } finally {
      if (code) setFlagsFromString('--no-stress-flush-code');
    }
  };
}

function findCollector(): ((options: Readonly<Record<string, string>>) => void) | undefined {
  try {
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    return typeof collect === 'function' ? (options) => void collect(options) : undefined;
  } catch {
    return undefined;
  }
}

/** Found once: with it comes a context of V8. */
const collector = findCollector();
