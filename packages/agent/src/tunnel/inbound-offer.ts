/** A peer's offer in the shape that the inbound side of the agent takes. */
import { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import type { Offer } from '../protocol/mux/opening.ts';
import { MuxStream } from '../protocol/mux/stream.ts';
import type { DatagramConduit } from '../words/conduit.ts';
import type { OpenRequest, Refusal } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { Inbound, InboundHandler } from './types.ts';

class OfferedFlow<C> implements Inbound<C> {
  readonly peer: TunnelPeer;
  readonly #offer: Offer;
  readonly #conduitOf: (entry: MuxStream | DatagramFlow) => C | undefined;

  constructor(peer: TunnelPeer, offer: Offer, conduitOf: (entry: MuxStream | DatagramFlow) => C | undefined) {
    this.peer = peer;
    this.#offer = offer;
    this.#conduitOf = conduitOf;
  }

  get request(): OpenRequest {
    return this.#offer.request;
  }

  get gone(): boolean {
    return this.#offer.gone;
  }

  onGone(told: () => void): void {
    this.#offer.onGone(told);
  }

  accept(): C {
    const conduit = this.#conduitOf(this.#offer.accept());
    if (conduit === undefined) throw new TypeError('an offer made a flow of the other protocol');
    return conduit;
  }

  refuse(refusal: Refusal): void {
    this.#offer.refuse(refusal);
  }
}

const streamOf = (entry: MuxStream | DatagramFlow) => (entry instanceof MuxStream ? entry : undefined);

/** Hands the offer on; `wrap` makes a conduit of an accepted UDP flow. */
export function offerInbound(
  offer: Offer,
  peer: TunnelPeer,
  inbound: InboundHandler,
  wrap: (flow: DatagramFlow) => DatagramConduit,
): void {
  if (offer.request.protocol === 'tcp') inbound.stream(new OfferedFlow(peer, offer, streamOf));
  else {
    const datagramsOf = (entry: MuxStream | DatagramFlow) => (entry instanceof DatagramFlow ? wrap(entry) : undefined);
    inbound.datagrams(new OfferedFlow(peer, offer, datagramsOf));
  }
}
