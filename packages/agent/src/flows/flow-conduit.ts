/** A conduit whose bytes are counted on its flow, and which ends with it. */
import { afterCut } from '../tunnel/after-cut.ts';
import { TunnelEndedError } from '../tunnel/errors.ts';
import type { Conduit, ConduitEvents } from '../words/conduit.ts';
import type { Flow } from './registry.ts';

export interface FlowConduitUse {
  /** Whether it is a stream to another agent, which records the flow. */
  readonly remote: boolean;
  /** Told when the flow is cut, after the conduit has closed. */
  readonly cut?: () => void;
  /** Whether the flow ends with the conduit; else whoever splices it to its caller ends the flow. */
  readonly ends?: boolean;
}

/** The service's side of a flow: what is written to it was sent by the caller. */
export class FlowConduit implements Conduit {
  readonly #inner: Conduit;
  readonly #flow: Flow;
  readonly #remote: boolean;
  readonly #ends: boolean;
  #events: ConduitEvents | undefined;
  #cut: boolean = false;
  #over: boolean = false;
  /** The other side let go of it, before or after it was over for its user. */
  #letGo: boolean = false;

  constructor(inner: Conduit, flow: Flow, { remote, cut, ends = false }: FlowConduitUse) {
    this.#inner = inner;
    this.#flow = flow;
    this.#remote = remote;
    this.#ends = ends;
    flow.onCut((reason) => {
      this.#endCut(reason);
      cut?.();
    });
  }

  attach(events: ConduitEvents): void {
    this.#events = events;
    if (this.#over) {
      // Cut before anyone was there to hear of it.
      queueMicrotask(() => events.closed('reset'));
      return;
    }
    this.#inner.attach({
      data: (piece, owned) => {
        if (this.#cut) return;
        this.#flow.bytesReceived += piece.length;
        events.data(piece, owned);
      },
      end: () => {
        if (!this.#cut) events.end();
      },
      drain: () => {
        if (!this.#cut) events.drain();
      },
      closed: (how, cause) => {
        this.#letGo = true;
        if (this.#remote && cause instanceof TunnelEndedError) this.#flow.sever();
        this.#closed(how, cause);
      },
    });
  }

  write(piece: Buffer, owned: boolean): boolean {
    if (this.#cut) return true;
    this.#flow.bytesSent += piece.length;
    return this.#inner.write(piece, owned);
  }

  end(): void {
    if (!this.#cut) this.#inner.end();
  }

  reset(): void {
    if (!this.#cut) this.#inner.reset();
    // Its user is done with it, attached or not.
    if (this.#ends) this.#flow.end('reset', 'closed by this host');
  }

  resetWhenWritten(): void {
    if (!this.#cut) this.#inner.resetWhenWritten();
  }

  pause(): void {
    if (!this.#cut) this.#inner.pause();
  }

  resume(): void {
    if (!this.#cut) this.#inner.resume();
  }

  /** Ends it for its user at once. */
  #endCut(reason: string): void {
    if (this.#cut || this.#over) return;
    this.#cut = true;
    if (this.#remote) {
      this.#inner.pause();
      afterCut(() => {
        if (!this.#letGo) this.#flow.cutAlone();
        this.#inner.reset();
      });
      this.#closed('reset', new Error(reason));
      return;
    }
    try {
      this.#inner.reset();
    } finally {
      // Its user's other side is to end all the same.
      this.#closed('reset', new Error(reason));
    }
  }

  #closed(how: 'closed' | 'reset', cause?: Error): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#ends) this.#flow.end(how, cause?.message);
    this.#events?.closed(how, cause);
  }
}
