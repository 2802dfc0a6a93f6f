/** The connection under a tunnel. Its receiver changes once, from the handshake to the tunnel. */

import type { WireConduit } from '../words/conduit.ts';

export interface WireReceiver {
  /** Valid during the call only. */
  data(piece: Buffer): void;
  drain(): void;
  /** The peer sends no more, or the connection is over. Comes once. */
  over(cause: Error | undefined): void;
}

export class Wire {
  readonly conduit: WireConduit;
  #receiver: WireReceiver;
  #over: boolean = false;

  constructor(conduit: WireConduit, receiver: WireReceiver) {
    this.conduit = conduit;
    this.#receiver = receiver;
    conduit.attach({
      data: (piece) => this.#receiver.data(piece),
      drain: () => this.#receiver.drain(),
      // A tunnel that can only be written to is of no use.
      end: () => this.#end(undefined),
      closed: (_how, cause) => this.#end(cause),
    });
  }

  get over(): boolean {
    return this.#over;
  }

  /** Hands the connection on; nothing is read between. */
  receiveWith(receiver: WireReceiver): void {
    this.#receiver = receiver;
    if (this.#over) queueMicrotask(() => receiver.over(undefined));
    else this.conduit.resume();
  }

  #end(cause: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#receiver.over(cause);
  }
}
