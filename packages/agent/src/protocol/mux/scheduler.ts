/**
 * Decides which bytes go out next. Small frames of one loop turn are copied together and sealed once; large data is
 * sealed at once from where it lies; when the tunnel is backed up, streams take turns by quantum.
 */
import type { ByteQueue } from './byte-queue.ts';
import { encodeHeader, writeHeader } from './frames.ts';
import { FRAME, FRAME_HEADER, type FrameType, MAXIMUM_DATA } from './types.ts';

/** What the scheduler asks of the tunnel's driver. */
export interface RecordOutput {
  /** Seals and sends one record; the pieces are used before it returns. */
  record(pieces: readonly Buffer[]): void;
  /** Bytes sealed that the network has not taken yet. */
  readonly backlog: number;
  /** Asks for one call of `flush` at the end of this loop turn. */
  flushSoon(): void;
}

/** A stream as the scheduler sees it. */
export interface ScheduledStream {
  readonly id: number;
  /** Bytes the peer lets it send. */
  credit: number;
  /** Bytes that wait for their turn. */
  readonly sendQueue: ByteQueue;
  /** Whether it wants a turn, be it only to be told that there is room. */
  readonly waitsForTurn: boolean;
  /** It had its turn. */
  afterSend(): void;
}

/** A seal costs the same for 50 bytes as for 1,000, so messages up to this are gathered. */
const SMALL = 4 * 1024;
const BATCH = 16 * 1024;
/** Frames of a batch from which on the next may wait a turn of the loop longer, for more to share its seal and its write. */
const CROWD = 4;
/** Over this the tunnel takes no more bulk: small frames would be buried behind it. */
export const BACKLOG_LIMIT = 512 * 1024;
/** Small messages still pass up to here, so that a bulk copy does not hold them up. */
const SMALL_BACKLOG_LIMIT = 2 * BACKLOG_LIMIT;
/** A stream's share of one turn. */
const QUANTUM = 64 * 1024;
/** Data of all streams in one record of a turn; leaves room for the batch and the headers. */
const TURN = 192 * 1024;

export class Scheduler {
  readonly #output: RecordOutput;
  #batch: Buffer | undefined;
  #batched = 0;
  /** Frames of the batch. */
  #frames = 0;
  /** Batches sealed so far; what is gathered goes with the next. */
  batches = 0;
  /** Whether the last batch had many frames: then the loop is busy, and its next turn is likely to bring more. */
  crowded: boolean = false;
  /** Whether more for the batch is likely to come in the next turn of the loop: what a caller says right behind its connect. */
  expecting: boolean = false;
  /** In the order of their turns. */
  readonly #ready = new Set<ScheduledStream>();
  #running: boolean = false;
  #closed: boolean = false;

  constructor(output: RecordOutput) {
    this.#output = output;
  }

  /** Whether bulk may go out now. */
  get writable(): boolean {
    return this.#output.backlog < BACKLOG_LIMIT;
  }

  /** Whether a piece of this length may go out at once, before streams that wait for their turn. */
  takes(length: number): boolean {
    if (length <= SMALL) return this.#output.backlog < SMALL_BACKLOG_LIMIT;
    return this.writable && this.#ready.size === 0;
  }

  get backlog(): number {
    return this.#output.backlog;
  }

  /** Sends stream data that `takes` admitted and the credit covers. */
  data(stream: ScheduledStream, piece: Buffer): void {
    stream.credit -= piece.length;
    if (piece.length <= SMALL) this.#gather(FRAME.data, stream.id, piece);
    else this.#sendNow(FRAME.data, stream.id, piece);
  }

  /** A frame that is never held back. */
  control(type: FrameType, id: number, payload?: Buffer): void {
    this.#gather(type, id, payload);
  }

  /** Sends one datagram, or answers false when the tunnel is too far behind for it. */
  datagram(id: number, payload: Buffer): boolean {
    if (this.#closed || this.#output.backlog >= SMALL_BACKLOG_LIMIT) return false;
    if (payload.length <= SMALL) this.#gather(FRAME.datagram, id, payload);
    else this.#sendNow(FRAME.datagram, id, payload);
    return true;
  }

  /** Sends a frame at once as the last of its record: the driver changes a key right after. */
  last(type: FrameType, payload?: Buffer): void {
    this.#gather(type, 0, payload);
    this.#sealBatch();
  }

  /** Puts a stream in line. */
  ready(stream: ScheduledStream): void {
    if (this.#closed) return;
    this.#ready.add(stream);
    if (this.writable) this.#output.flushSoon();
  }

  forget(stream: ScheduledStream): void {
    this.#ready.delete(stream);
  }

  close(): void {
    this.#closed = true;
    this.#ready.clear();
    this.#batch = undefined;
    this.#batched = 0;
  }

  /** To be called when `flushSoon` asked, and whenever the network took the backlog. */
  flush(): void {
    if (!this.#running) this.#runTurns();
    this.#sealBatch();
  }

  #runTurns(): void {
    this.#running = true;
    try {
      // Each stream in line when this starts gets at most one drain call, so a writer that refills at once cannot spin.
      let rounds = this.#ready.size * 4 + 4;
      while (this.#ready.size > 0 && this.writable && rounds-- > 0) this.#turn();
    } finally {
      this.#running = false;
    }
    if (this.#ready.size > 0 && this.writable) this.#output.flushSoon();
  }

  /** One record of the streams first in line. */
  #turn(): void {
    const pieces: Buffer[] = [];
    const served: ScheduledStream[] = [];
    let room = TURN;
    for (const stream of this.#ready) {
      if (room <= 0) break;
      this.#ready.delete(stream);
      served.push(stream);
      let share = Math.min(QUANTUM, stream.credit, stream.sendQueue.length, room);
      room -= share;
      stream.credit -= share;
      while (share > 0) {
        const piece = stream.sendQueue.shift(share);
        if (piece === undefined) break;
        pieces.push(encodeHeader(FRAME.data, stream.id, piece.length), piece);
        share -= piece.length;
        room -= FRAME_HEADER;
      }
    }
    if (pieces.length > 0) this.#seal(pieces);
    for (const stream of served) {
      stream.sendQueue.free();
      stream.afterSend();
      if (!this.#closed && stream.waitsForTurn) this.#ready.add(stream);
    }
  }

  #gather(type: FrameType, id: number, payload: Buffer | undefined): void {
    if (this.#closed) return;
    const length = payload?.length ?? 0;
    if (this.#batched + FRAME_HEADER + length > BATCH) this.#sealBatch();
    this.#batch ??= Buffer.allocUnsafeSlow(BATCH);
    if (this.#batched === 0) this.#output.flushSoon();
    this.#frames += 1;
    const start = writeHeader(this.#batch, this.#batched, type, id, length);
    payload?.copy(this.#batch, start);
    this.#batched = start + length;
  }

  #sendNow(type: FrameType, id: number, payload: Buffer): void {
    for (let offset = 0; offset < payload.length; offset += MAXIMUM_DATA) {
      const piece = payload.length <= MAXIMUM_DATA ? payload : payload.subarray(offset, offset + MAXIMUM_DATA);
      if (this.#batched + FRAME_HEADER + piece.length > MAXIMUM_DATA) this.#sealBatch();
      this.#seal([encodeHeader(type, id, piece.length), piece]);
    }
  }

  /** One record: the batch first, so that a stream's order is the order of its calls. */
  #seal(pieces: Buffer[]): void {
    if (this.#closed) return;
    if (this.#batched > 0 && this.#batch !== undefined) {
      pieces.unshift(this.#takeBatch(this.#batch));
    }
    this.#output.record(pieces);
  }

  #sealBatch(): void {
    if (this.#batched === 0 || this.#batch === undefined) return;
    this.#output.record([this.#takeBatch(this.#batch)]);
  }

  /** Valid until the next frame is gathered. */
  #takeBatch(batch: Buffer): Buffer {
    const taken = batch.subarray(0, this.#batched);
    this.crowded = this.#frames >= CROWD;
    this.expecting = false;
    this.batches += 1;
    this.#batched = 0;
    this.#frames = 0;
    return taken;
  }
}
