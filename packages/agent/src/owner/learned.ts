/** What one thread tells the other of a caller, beside who it is. */
import type { FoundHolder } from './known-holders.ts';
import type { FoundSocket } from './socket-tables.ts';

/** What the other thread has found, by which this one knows the next such caller. */
export interface Learned {
  /** Control group that the socket was made in, and its path; undefined where that is not known. */
  readonly group?: readonly [number: string, path: string | undefined];
  readonly holder?: FoundHolder;
  /** That it took to look for the process. */
  readonly tookMs?: number;
  /** It was not looked for, nor will be for so long. */
  readonly restMs?: number;
}

/** Of a caller whose sockets were made in the control group at this path. */
export function learnedOf(
  [socket]: readonly FoundSocket[],
  path: string | undefined,
  holder: FoundHolder | undefined,
): Learned {
  const number = socket?.group;
  return {
    ...(number === undefined ? {} : { group: [number, path] as const }),
    ...(holder === undefined ? {} : { holder }),
  };
}
