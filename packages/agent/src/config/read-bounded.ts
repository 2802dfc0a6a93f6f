/**
 * Reads what somebody names as a file: it may be a pipe that nobody writes to yet, stand on a network drive whose server is gone, be of any
 * length, or have no end. Nothing of that holds a thread of Node's pool, of which there are four, but the drive's.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const PIECE_BYTES = 64 * 1024;
const LOOK_MS = 10;
/** Nothing came for so long: it will not come. Less than whoever asks an agent waits for its answer. */
const STILL_MS = 15_000;

export class ReadError extends Error {
  override readonly name = 'ReadError';
}

/** Rejects with ReadError where it is longer than `most` bytes or nothing comes of it for `stillMs`, else with the system's errors. */
export async function readBounded(file: string, most: number, stillMs: number = STILL_MS): Promise<Buffer> {
  // Not blocking, or open(2) would wait for whoever writes to a pipe.
  const opening = open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const handle = await inTime(opening, stillMs, () => void opening.then((late) => late.close()).catch(() => undefined));
  try {
    const { size, isPipe } = await inTime(
      handle.stat().then((stat) => ({ size: stat.isFile() ? stat.size : 0, isPipe: stat.isFIFO() })),
      stillMs,
    );
    if (size > most) throw tooLong(`${size} bytes`, most);
    return await pieces(handle, isPipe, most, stillMs);
  } finally {
    void handle.close().catch(() => undefined);
  }
}

async function pieces(handle: FileHandle, isPipe: boolean, most: number, stillMs: number): Promise<Buffer> {
  const read: Buffer[] = [];
  let length = 0;
  let sinceMs = performance.now();
  for (;;) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const bytes = await inTime(handle.read(piece, 0, PIECE_BYTES, null).then(bytesOf, nothingYet), stillMs);
    if (bytes > 0) {
      length += bytes;
      if (length > most) throw tooLong(`more than ${most} bytes`, most);
      read.push(piece.subarray(0, bytes));
      sinceMs = performance.now();
    } else if (bytes === 0 && (length > 0 || !isPipe)) return Buffer.concat(read, length);
    else if (performance.now() - sinceMs >= stillMs) throw nothingCame(stillMs);
    else await sleep(LOOK_MS);
  }
}

function bytesOf({ bytesRead }: { readonly bytesRead: number }): number {
  return bytesRead;
}

/** Of a pipe that is empty for now. */
function nothingYet(cause: NodeJS.ErrnoException): number {
  if (cause.code === 'EAGAIN') return -1;
  throw cause;
}

function tooLong(found: string, most: number): ReadError {
  return new ReadError(`is ${found} long; at most ${most} are read`);
}

function nothingCame(stillMs: number): ReadError {
  return new ReadError(`cannot be read: nothing came of it for ${stillMs / 1_000} s`);
}

async function inTime<T>(work: Promise<T>, stillMs: number, late?: () => void): Promise<T> {
  const over = new AbortController();
  const timer = sleep(stillMs, 'late' as const, { signal: over.signal }).catch(() => 'late' as const);
  const first = await Promise.race([work.then((done) => ({ done })), timer]).finally(() => over.abort());
  if (first !== 'late') return first.done;
  late?.();
  work.catch(() => undefined);
  throw nothingCame(stillMs);
}
