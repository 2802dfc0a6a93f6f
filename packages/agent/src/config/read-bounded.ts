/**
 * Reads what somebody names as a file: it may be a pipe that nobody writes to yet, stand on a network drive whose server is gone, be of any
 * length, or have no end. Nothing of that holds a thread of Node's pool, of which there are four, but the drive's.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const PIECE_BYTES = 64 * 1024;
const LOOK_MS = 10;
/** Nothing came for so long: nobody writes, or the drive hangs. Less than whoever asks an agent waits for its answer. */
const STILL_MS = 15_000;
/** Whoever writes into a pipe, such as a command that makes the file, has said all by then. */
const WHOLE_MS = 60_000;

export class ReadError extends Error {
  override readonly name = 'ReadError';
}

/** Rejects with ReadError where it is longer than `most` bytes, nothing comes of it for `stillMs`, or not all within `wholeMs`, else with the system's errors. */
export async function readBounded(file: string, most: number, stillMs = STILL_MS, wholeMs = WHOLE_MS): Promise<Buffer> {
  const begun = new Limit(stillMs);
  // Not blocking, or open(2) would wait for whoever writes to a pipe.
  const opening = open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const handle = await begun.of(opening, () => void opening.then((late) => late.close()).catch(() => undefined));
  try {
    const stat = await begun.of(handle.stat());
    if (stat.isFile() && stat.size > most) throw tooLong(`${stat.size} bytes`, most);
    return await readAll(handle, { isPipe: stat.isFIFO(), most, begun, whole: new Limit(wholeMs) });
  } finally {
    void handle.close().catch(() => undefined);
  }
}

interface Reading {
  readonly isPipe: boolean;
  readonly most: number;
  /** Until something is said, or somebody is there to say it. */
  readonly begun: Limit;
  readonly whole: Limit;
}

async function readAll(handle: FileHandle, { isPipe, most, begun, whole }: Reading): Promise<Buffer> {
  // One for all, however small the pieces are in which it comes; of one byte more, to see that there is more.
  let buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, most + 1));
  let length = 0;
  let isWritten = !isPipe;
  for (;;) {
    const room = handle.read(buffer, length, buffer.length - length, null);
    const bytes = await (isWritten && isPipe ? whole : begun).of(room.then(bytesOf, nothingYet));
    if (bytes > 0) {
      length += bytes;
      isWritten = true;
      if (length > most) throw tooLong(`more than ${most} bytes`, most);
      if (length === buffer.length) {
        const larger = Buffer.allocUnsafe(Math.min(2 * length, most + 1));
        buffer.copy(larger);
        buffer = larger;
      }
      continue;
    }
    // Of a pipe nothing is the end once somebody had it open: what is empty for now says so otherwise.
    if (bytes === 0 && isWritten) return buffer.subarray(0, length);
    if (bytes < 0) isWritten = true;
    (isWritten ? whole : begun).check();
    await sleep(LOOK_MS);
  }
}

function bytesOf({ bytesRead }: { readonly bytesRead: number }): number {
  return bytesRead;
}

/** Of a pipe that is empty for now, and that somebody has open to write. */
function nothingYet(cause: NodeJS.ErrnoException): number {
  if (cause.code === 'EAGAIN') return -1;
  throw cause;
}

function tooLong(found: string, most: number): ReadError {
  return new ReadError(`is ${found} long; at most ${most} are read`);
}

class Limit {
  readonly #limitMs: number;
  readonly #untilMs: number;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.#untilMs = performance.now() + limitMs;
  }

  check(): void {
    if (performance.now() >= this.#untilMs) throw this.#over();
  }

  async of<T>(work: Promise<T>, late?: () => void): Promise<T> {
    const done = new AbortController();
    const left = Math.max(0, this.#untilMs - performance.now());
    const timer = sleep(left, 'late' as const, { signal: done.signal }).catch(() => 'late' as const);
    const first = await Promise.race([work.then((value) => ({ value })), timer]).finally(() => done.abort());
    if (first !== 'late') return first.value;
    late?.();
    work.catch(() => undefined);
    throw this.#over();
  }

  #over(): ReadError {
    return new ReadError(`cannot be read: it did not come within ${this.#limitMs / 1_000} s`);
  }
}
