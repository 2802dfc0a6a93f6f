/** A conduit as a node stream, for code that knows no conduits: node's HTTP client. */
import { Duplex } from 'node:stream';
import type { Conduit } from '../words/conduit.ts';
import { copyOfLent } from '../words/passing-memory.ts';
import { ConduitResetError } from './errors.ts';

/** Milliseconds that what is on its way has, when both directions have ended, before it is given up. */
const DELIVERY_MS = 5_000;

/**
 * Half-close, reset and backpressure pass both ways. The conduit must not have been attached before. Destroying the
 * duplex resets the conduit, unless both directions had ended: then what is on its way is delivered. `failed` is told, before
 * the conduit is reset, with which error the duplex is destroyed.
 */
export class ConduitDuplex extends Duplex {
  readonly #conduit: Conduit;
  readonly #failed: (cause: Error) => void;
  /** Goes on with the writer when the conduit has room again. */
  #drained: (() => void) | undefined;
  #paused: boolean = false;
  #farEnded: boolean = false;
  #ended: boolean = false;
  #closed: boolean = false;
  #delivery: NodeJS.Timeout | undefined;

  constructor(conduit: Conduit, failed: (cause: Error) => void = () => {}) {
    super({ allowHalfOpen: true });
    this.#conduit = conduit;
    this.#failed = failed;
    conduit.attach({
      data: (piece, owned) => this.#data(owned ? piece : copyOfLent(piece)),
      end: () => this.#end(),
      drain: () => this.#drain(),
      closed: (how, cause) => this.#close(how, cause),
    });
  }

  /** Says right after it was destroyed why it was. */
  blame(cause: Error): void {
    this.#failed(cause);
  }

  #data(piece: Buffer): void {
    if (this.destroyed || this.push(piece) || this.#paused) return;
    this.#paused = true;
    this.#conduit.pause();
  }

  #end(): void {
    if (this.#farEnded) return;
    this.#farEnded = true;
    if (!this.destroyed) this.push(null);
  }

  #drain(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.();
  }

  #close(how: 'closed' | 'reset', cause: Error | undefined): void {
    this.#closed = true;
    clearTimeout(this.#delivery);
    if (how === 'reset') {
      this.destroy(new ConduitResetError(cause === undefined ? undefined : { cause }));
      return;
    }
    this.#end();
    this.#drain();
  }

  override _read(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#closed) this.#conduit.resume();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    // Owned: a stream's writer may not change a piece that it has given away.
    this.#written(this.#closed || this.#conduit.write(piece, true), callback);
  }

  override _writev(pieces: readonly { chunk: Buffer }[], callback: () => void): void {
    let room = true;
    for (const { chunk } of pieces) room = this.#closed || this.#conduit.write(chunk, true);
    this.#written(room, callback);
  }

  #written(room: boolean, callback: () => void): void {
    if (room) callback();
    else this.#drained = callback;
  }

  override _final(callback: () => void): void {
    this.#ended = true;
    if (!this.#closed) this.#conduit.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (error !== null) this.#failed(error);
    const orderly = this.#ended && this.#farEnded && error === null;
    // In the next turn, where it is not known why: node's client destroys what it cannot read, and says so right behind that.
    if (!this.#closed && !orderly && error === null) process.nextTick(() => this.#conduit.reset());
    else if (!this.#closed && !orderly) this.#conduit.reset();
    else if (!this.#closed) this.#delivery = setTimeout(() => this.#conduit.reset(), DELIVERY_MS).unref();
    this.#drained = undefined;
    callback(error);
  }
}
