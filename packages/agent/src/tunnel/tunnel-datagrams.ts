/** A UDP flow as the agent sees it: in sealed packets where they pass and it fits, else inside the tunnel. */
import type { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import { MAXIMUM_DATAGRAM } from '../protocol/mux/types.ts';
import type { DatagramConduit, DatagramEvents } from '../words/conduit.ts';
import type { DatagramPath } from './datagram-path.ts';
import type { Liveness } from './liveness.ts';

export class TunnelDatagrams implements DatagramConduit {
  readonly #flow: DatagramFlow;
  readonly #path: DatagramPath | undefined;
  readonly #dropped: () => void;
  readonly #liveness: Pick<Liveness, 'suspect' | 'silent' | 'ping'>;
  #counted: boolean = true;

  constructor(
    flow: DatagramFlow,
    path: DatagramPath | undefined,
    dropped: () => void,
    liveness: Pick<Liveness, 'suspect' | 'silent' | 'ping'>,
  ) {
    this.#flow = flow;
    this.#path = path;
    this.#dropped = dropped;
    this.#liveness = liveness;
    path?.flowOpened();
    if (flow.over) this.#uncount();
  }

  silent(): boolean {
    this.#liveness.ping();
    // What comes beside the connection shows one way only: where no probe is answered, what is sent goes inside, and nowhere.
    return this.#liveness.silent || (this.#liveness.suspect && this.#path?.size === 0);
  }

  attach(events: DatagramEvents): void {
    this.#flow.attach({
      datagram: (payload) => events.datagram(payload),
      closed: (cause) => {
        this.#uncount();
        events.closed(cause);
      },
    });
  }

  send(payload: Buffer): void {
    if (this.#flow.over) return;
    if (payload.length > MAXIMUM_DATAGRAM) this.#dropped();
    else if (!(this.#path?.send(this.#flow, payload) ?? this.#flow.sendFrame(payload))) this.#dropped();
  }

  close(): void {
    this.#flow.close();
    this.#uncount();
  }

  /** The path is probed only while flows are open. */
  #uncount(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#path?.flowClosed();
  }
}
