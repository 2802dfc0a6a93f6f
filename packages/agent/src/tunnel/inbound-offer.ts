/** A peer's offer in the shape that the inbound side of the agent takes. */
import { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import type { Offer } from '../protocol/mux/opening.ts';
import { MuxStream } from '../protocol/mux/stream.ts';
import type { DatagramConduit } from '../words/conduit.ts';
import type { OpenRequest, Refusal } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { InboundDatagrams, InboundHandler, InboundStream } from './types.ts';

class Inbound {
  readonly peer: TunnelPeer;
  protected readonly offer: Offer;

  constructor(peer: TunnelPeer, offer: Offer) {
    this.peer = peer;
    this.offer = offer;
  }

  get request(): OpenRequest {
    return this.offer.request;
  }

  get gone(): boolean {
    return this.offer.gone;
  }

  onGone(told: () => void): void {
    this.offer.onGone(told);
  }

  refuse(refusal: Refusal): void {
    this.offer.refuse(refusal);
  }
}

class OfferedStream extends Inbound implements InboundStream {
  accept(): MuxStream {
    const entry = this.offer.accept();
    if (!(entry instanceof MuxStream)) throw new TypeError('a TCP offer made no stream');
    return entry;
  }
}

class OfferedDatagrams extends Inbound implements InboundDatagrams {
  readonly #wrap: (flow: DatagramFlow) => DatagramConduit;

  constructor(peer: TunnelPeer, offer: Offer, wrap: (flow: DatagramFlow) => DatagramConduit) {
    super(peer, offer);
    this.#wrap = wrap;
  }

  accept(): DatagramConduit {
    const entry = this.offer.accept();
    if (!(entry instanceof DatagramFlow)) throw new TypeError('a UDP offer made no flow');
    return this.#wrap(entry);
  }
}

/** Hands the offer on; `wrap` makes a conduit of an accepted UDP flow. */
export function offerInbound(
  offer: Offer,
  peer: TunnelPeer,
  inbound: InboundHandler,
  wrap: (flow: DatagramFlow) => DatagramConduit,
): void {
  if (offer.request.protocol === 'udp') inbound.datagrams(new OfferedDatagrams(peer, offer, wrap));
  else inbound.stream(new OfferedStream(peer, offer));
}
