/** One public connection: its requests one after the other, and the connections to services that belong to it. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { plainAddress } from '@weft/proto';
import type { Seat } from '@weft/proto/bounds';
import type { GatewayLimits, OpenIngress } from './types.ts';
import { UpstreamAgent } from './upstream.ts';

/** Requests sent ahead of their responses that are kept waiting. More than any client of today sends. */
const MAX_WAITING = 32;

export class Client {
  readonly #socket: Socket;
  readonly #seat: Seat;
  readonly #waiting: (() => void)[] = [];
  readonly agent: UpstreamAgent;
  readonly address: string;
  #busy: boolean = false;
  /** Gives the current request up, because nothing has moved for too long; undefined when there is none. */
  giveUp: (() => void) | undefined;
  /** The current request's. */
  response: ServerResponse | undefined;

  constructor(socket: Socket, seat: Seat, open: OpenIngress, limits: GatewayLimits) {
    this.#socket = socket;
    this.#seat = seat;
    // An IPv4 client of a listener on `::`.
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.agent = new UpstreamAgent(open, this.address, limits.openMs);
    socket.on('close', () => {
      seat.leave();
      this.#waiting.length = 0;
      this.agent.close();
    });
  }

  /** Whether a response is owed. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Runs a request when those before it are answered: a request may depend on what the one before it did. `run` is told
   * how to say that its response is over.
   */
  enqueue(run: (over: () => void) => void): void {
    if (!this.#busy) {
      this.#busy = true;
      this.#seat.busy();
      run(() => this.#next());
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(() => run(() => this.#next()));
    } else {
      this.#socket.destroy();
    }
  }

  #next(): void {
    this.giveUp = undefined;
    this.response = undefined;
    const run = this.#waiting.shift();
    if (run !== undefined) {
      run();
      return;
    }
    this.#busy = false;
    this.#seat.idle();
  }

  /** The connection speaks another protocol from here on, and is served until it closes. */
  upgraded(): void {
    this.#seat.busy();
  }
}
