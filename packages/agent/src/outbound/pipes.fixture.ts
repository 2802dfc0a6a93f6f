/** For tests: both ends of a tunnel's stream or datagram flow, in memory. */

import type { CallerConduit, ConduitEvents, DatagramConduit, DatagramEvents } from '../words/conduit.ts';

/** Unread bytes over which the writer is asked to stop. */
const WINDOW = 256 * 1024;

class StreamEnd implements CallerConduit {
  peer: StreamEnd | undefined;
  #events: ConduitEvents | undefined;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #paused: boolean = false;
  #starved: boolean = false;
  #peerEnded: boolean = false;
  #endTold: boolean = false;
  #ended: boolean = false;
  #over: boolean = false;
  #scheduled: boolean = false;

  get connected(): boolean {
    return !this.#over;
  }

  attach(events: ConduitEvents): void {
    this.#events = events;
    this.#schedule();
  }

  write(piece: Buffer): boolean {
    const { peer } = this;
    if (peer === undefined || this.#over || this.#ended) return true;
    peer.#unread.push(Buffer.from(piece));
    peer.#unreadBytes += piece.length;
    peer.#schedule();
    this.#starved = peer.#unreadBytes >= WINDOW;
    return !this.#starved;
  }

  end(): void {
    if (this.#ended || this.#over) return;
    this.#ended = true;
    if (this.peer !== undefined) {
      this.peer.#peerEnded = true;
      this.peer.#schedule();
    }
    this.#schedule();
  }

  reset(): void {
    this.#finish('reset');
    // On its way, it is overtaken by the end of the tunnel, as in one.
    const { peer } = this;
    setImmediate(() => {
      if (peer !== undefined) peer.#finish('reset');
    });
  }

  resetWhenWritten(): void {
    this.reset();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const { peer } = this;
    const events = this.#events;
    if (events === undefined || peer === undefined) return;
    while (this.#unread.length > 0 && !this.#paused && !this.#over) {
      const piece = this.#unread.shift() ?? Buffer.alloc(0);
      this.#unreadBytes -= piece.length;
      events.data(piece, true);
    }
    if (peer.#starved && this.#unreadBytes < WINDOW && !this.#over) {
      peer.#starved = false;
      peer.#events?.drain();
    }
    if (this.#peerEnded && !this.#endTold && this.#unread.length === 0 && !this.#over) {
      this.#endTold = true;
      events.end();
    }
    if (this.#endTold && this.#ended && peer.#endTold) {
      this.#finish('closed');
      peer.#finish('closed');
    }
  }

  fail(cause: Error): void {
    this.#finish('reset', cause);
  }

  #finish(how: 'closed' | 'reset', cause?: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#unread = [];
    setImmediate(() => this.#events?.closed(how, cause));
  }
}

/** Both ends, and what ends both as a tunnel does that breaks. */
export function streamPipe(): [near: CallerConduit, far: CallerConduit, fail: (cause: Error) => void] {
  const near = new StreamEnd();
  const far = new StreamEnd();
  near.peer = far;
  far.peer = near;
  return [near, far, (cause) => void [near, far].map((end) => end.fail(cause))];
}

class DatagramEnd implements DatagramConduit {
  peer: DatagramEnd | undefined;
  #events: DatagramEvents | undefined;
  #early: Buffer[] = [];
  #closed: boolean = false;

  attach(events: DatagramEvents): void {
    this.#events = events;
    for (const payload of this.#early.splice(0)) events.datagram(payload);
  }

  send(payload: Buffer): void {
    const copy = Buffer.from(payload);
    setImmediate(() => {
      const { peer } = this;
      if (peer === undefined || peer.#closed) return;
      if (peer.#events === undefined) peer.#early.push(copy);
      else peer.#events.datagram(copy);
      // What is valid during the call only must not be read later.
      copy.fill(0xee);
    });
  }

  fail(cause: Error): void {
    this.#finish(cause);
  }

  close(): void {
    this.#finish();
    const { peer } = this;
    setImmediate(() => {
      if (peer !== undefined) peer.#finish();
    });
  }

  #finish(cause?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    setImmediate(() => this.#events?.closed(cause));
  }
}

export function datagramPipe(): [near: DatagramConduit, far: DatagramConduit, fail: (cause: Error) => void] {
  const near = new DatagramEnd();
  const far = new DatagramEnd();
  near.peer = far;
  far.peer = near;
  return [near, far, (cause) => void [near, far].map((end) => end.fail(cause))];
}
