/** Drives a Noise handshake over a new connection: read, feed, write. */
import { SEALS_SMALL_APART } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import type { DatagramOffer } from '../protocol/datagram/offer.ts';
import { Initiator } from '../protocol/noise/initiator.ts';
import { encodePreamble, encodeReply, PreambleReader, ReplyReader } from '../protocol/noise/preamble.ts';
import { prologue } from '../protocol/noise/prologue.ts';
import { Responder } from '../protocol/noise/responder.ts';
import { type Session, withoutSmallKeys } from '../protocol/noise/session.ts';
import type { WireConduit } from '../words/conduit.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TunnelContext } from './context.ts';
import { TunnelEndedError, UnreachableError } from './errors.ts';
import { decodeGreeting, encodeGreeting } from './greeting.ts';
import { Wire } from './wire.ts';

/** A connection with keys. Its wire is paused until a tunnel takes it. */
export interface Established {
  readonly wire: Wire;
  readonly session: Session;
  readonly peer: TunnelPeer;
  readonly ownOffer: DatagramOffer;
  readonly peerOffer: DatagramOffer;
  /** What the peer understands. */
  readonly capability: number;
  /** First records, when they came with the handshake. */
  readonly rest: Buffer;
}

export const NO_DATAGRAMS: DatagramOffer = { index: 0, packetLimit: 0 };

/** The dialling side. `ownOffer` says where the peer may send datagrams. Resets the connection when it rejects. */
export function initiate(
  context: TunnelContext,
  conduit: WireConduit,
  peer: TunnelPeer,
  ownOffer: DatagramOffer,
  deadline: Deadline,
): Promise<Established> {
  const initiator = new Initiator({
    cipher: context.cipher,
    prologue: prologue(context.network),
    staticKey: context.keys,
    remoteStatic: peer.tunnelKey,
    psk: peer.psk,
    newEphemeral: context.newEphemeral,
  });
  const reader = new ReplyReader();
  return drive(conduit, deadline, (piece, wire) => {
    if (wire === undefined) {
      conduit.write(encodePreamble(context.cipher, initiator.writeMessage1(encodeGreeting(ownOffer))), true);
      return undefined;
    }
    const reply = reader.push(piece);
    if (reply === undefined) return undefined;
    const { payload, session } = initiator.readMessage2(reply.message);
    const { offer: peerOffer, capability } = decodeGreeting(payload);
    const fit = sessionFor(session, capability);
    return { wire, session: fit, peer, ownOffer, peerOffer, capability, rest: Buffer.from(reply.rest) };
  });
}

/** The accepting side: a caller that the directory does not know gets no answer. Resets the connection when it rejects. */
export function respond(
  context: TunnelContext,
  conduit: WireConduit,
  ownOffer: DatagramOffer,
  deadline: Deadline,
): Promise<Established> {
  const reader = new PreambleReader();
  return drive(conduit, deadline, (piece, wire) => {
    if (wire === undefined) return undefined;
    const preamble = reader.push(piece);
    if (preamble === undefined) return undefined;
    const responder = new Responder({
      cipher: preamble.cipher,
      prologue: prologue(context.network),
      staticKey: context.keys,
      newEphemeral: context.newEphemeral,
    });
    const { payload, remoteStatic } = responder.readMessage1(preamble.message);
    const peer = context.directory.peerByKey(remoteStatic);
    if (peer === undefined) throw new UnreachableError('unknown-peer', 'the caller is no member of this network');
    const { offer: peerOffer, capability } = decodeGreeting(payload);
    const { message, session } = responder.writeMessage2(peer.psk, encodeGreeting(ownOffer));
    conduit.write(encodeReply(message), true);
    const fit = sessionFor(session, capability);
    return { wire, session: fit, peer, ownOffer, peerOffer, capability, rest: Buffer.alloc(0) };
  });
}

/** The session with the keys that both ends know of. */
export function sessionFor(session: Session, capability: number): Session {
  return capability >= SEALS_SMALL_APART ? session : withoutSmallKeys(session);
}

/** Feeds `step` until it has a result: first nothing without a wire, then each piece that arrives. */
function drive(
  conduit: WireConduit,
  deadline: Deadline,
  step: (piece: Buffer, wire: Wire | undefined) => Established | undefined,
): Promise<Established> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (): void => {
      settled = true;
      deadline.off(fail);
    };
    const fail = (error: unknown): void => {
      if (settled) return;
      settle();
      conduit.reset();
      reject(error instanceof Error ? error : new Error('the handshake failed', { cause: error }));
    };
    const attempt = (piece: Buffer, wire: Wire | undefined): void => {
      if (settled) return;
      try {
        const established = step(piece, wire);
        if (established === undefined) return;
        conduit.pause();
        settle();
        resolve(established);
      } catch (error) {
        fail(error);
      }
    };
    deadline.onEnd(fail);
    attempt(Buffer.alloc(0), undefined);
    const wire: Wire = new Wire(conduit, {
      data: (piece) => attempt(piece, wire),
      drain: () => undefined,
      over: (cause) => fail(new TunnelEndedError('closed', 'closed during the handshake', { cause })),
    });
  });
}
