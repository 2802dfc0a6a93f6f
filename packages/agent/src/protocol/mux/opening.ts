/** The two ends of a flow before its verdict: asked for here, or offered by the peer. */

import type { OpenRequest, Refusal } from '../../words/opening.ts';
import type { DatagramFlow } from './datagram-flow.ts';
import { encodeCredit } from './encode.ts';
import { encodeRefusal } from './open-codec.ts';
import type { Scheduler } from './scheduler.ts';
import type { MuxStream } from './stream.ts';
import { FRAME } from './types.ts';

/** What comes of asking a peer for a flow. Exactly one is called, once, unless the asker gave up first. */
export interface OpeningEvents {
  /** A stream for TCP, a flow for UDP. */
  opened(entry: MuxStream | DatagramFlow): void;
  refused(refusal: Refusal): void;
  /** The tunnel ended before an answer. */
  failed(cause: Error): void;
}

/** Asked for here, not answered yet. */
export interface Opening {
  readonly request: OpenRequest;
  readonly events: OpeningEvents;
  /** Window promised to the peer, bytes; 0 for a UDP flow. */
  readonly window: number;
}

export interface OfferHost {
  readonly scheduler: Scheduler;
  /** Forgets the offer and makes what answers it; one that is over already when the peer gave up. */
  admit(offer: Offer, credit: number): { readonly entry: MuxStream | DatagramFlow; readonly window: number };
  dismiss(offer: Offer): void;
}

/** A flow the peer asks for. Exactly one of accept and refuse is to be called. */
export class Offer {
  readonly id: number;
  readonly request: OpenRequest;
  readonly #host: OfferHost;
  readonly #credit: number;
  #answered: boolean = false;
  #gone: boolean = false;
  #told: (() => void) | undefined;

  constructor(host: OfferHost, id: number, request: OpenRequest, credit: number) {
    this.#host = host;
    this.id = id;
    this.request = request;
    this.#credit = credit;
  }

  /** Whether the peer gave up, or the tunnel ended, before an answer. */
  get gone(): boolean {
    return this.#gone;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** Tells, in place of who asked before, when the offer is gone; at once where it is. */
  onGone(told: () => void): void {
    if (this.#gone) told();
    else this.#told = told;
  }

  accept(): MuxStream | DatagramFlow {
    this.#answer();
    const { entry, window } = this.#host.admit(this, this.#credit);
    if (!this.#gone) this.#host.scheduler.control(FRAME.opened, this.id, encodeCredit(window));
    return entry;
  }

  refuse(refusal: Refusal): void {
    this.#answer();
    this.#host.dismiss(this);
    if (!this.#gone) this.#host.scheduler.control(FRAME.refused, this.id, encodeRefusal(refusal));
  }

  abandon(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#told?.();
  }

  #answer(): void {
    if (this.#answered) throw new TypeError('an offer is answered once');
    this.#answered = true;
  }
}
