/**
 * New keys for a tunnel that stays up: the next key of each direction by volume and time, and an hourly Noise handshake
 * inside the tunnel, started by the side that dialled. Each direction changes keys at its own place in the byte order.
 */
import { type DatagramOffer, decodeOffer, encodeOffer } from '../protocol/datagram/offer.ts';
import { MuxError } from '../protocol/mux/errors.ts';
import type { Scheduler } from '../protocol/mux/scheduler.ts';
import { FRAME } from '../protocol/mux/types.ts';
import { Initiator } from '../protocol/noise/initiator.ts';
import { prologue } from '../protocol/noise/prologue.ts';
import { Responder } from '../protocol/noise/responder.ts';
import type { Session } from '../protocol/noise/session.ts';
import type { RecordOpener, RecordSealer } from '../protocol/record/record.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TunnelContext } from './context.ts';
import { sessionFor } from './handshake.ts';

const REKEY_RECORDS = 2 ** 20;
const REKEY_BYTES = 16 * 2 ** 30;

export interface RenewalHost {
  readonly initiator: boolean;
  /** What the peer understands. */
  readonly capability: number;
  readonly scheduler: Scheduler;
  readonly sealer: RecordSealer;
  readonly opener: RecordOpener;
  /** As the directory has it now; undefined when it is no member any more. */
  peer(): TunnelPeer | undefined;
  offer(): DatagramOffer;
  /** Datagrams of the new session may arrive from now on; `send` starts sending with it. */
  datagrams(session: Session, own: DatagramOffer, peer: DatagramOffer): { send(): void };
}

export class Renewal {
  readonly #context: TunnelContext;
  readonly #host: RenewalHost;
  #session: Session;
  #renewedAt: number;
  #rekeyedAt: number;
  /** Dialling side: message 1 is out. */
  #asked: { readonly initiator: Initiator; readonly own: DatagramOffer } | undefined;
  /** Dialled side: message 2 is out, the peer still sends under the old session. */
  #answered: { readonly session: Session; send(): void } | undefined;

  constructor(context: TunnelContext, host: RenewalHost, session: Session) {
    this.#context = context;
    this.#host = host;
    this.#session = session;
    this.#renewedAt = context.now();
    this.#rekeyedAt = this.#renewedAt;
  }

  get handshakeHash(): Buffer {
    return this.#session.handshakeHash;
  }

  /** Whether the sending key has done its share. */
  get rekeyDue(): boolean {
    const { recordsSinceKey, bytesSinceKey } = this.#host.sealer;
    return recordsSinceKey >= REKEY_RECORDS || bytesSinceKey >= REKEY_BYTES;
  }

  tick(): void {
    const now = this.#context.now();
    const { renewal, rekey } = this.#context.settings;
    if (this.#host.initiator && this.#asked === undefined && now - this.#renewedAt >= renewal) this.#ask();
    if (this.rekeyDue || (this.#host.sealer.recordsSinceKey > 0 && now - this.#rekeyedAt >= rekey)) this.rekey();
  }

  /** Moves our direction to its next key. */
  rekey(): void {
    this.#host.scheduler.last(FRAME.rekey);
    this.#host.sealer.rekey();
    this.#rekeyedAt = this.#context.now();
  }

  receiveRekey(): void {
    this.#host.opener.rekey();
  }

  // -> e, es, s, ss
  #ask(): void {
    const peer = this.#host.peer();
    if (peer === undefined) return;
    const initiator = new Initiator({
      ...this.#common(this.#session),
      remoteStatic: peer.tunnelKey,
      psk: peer.psk,
    });
    const own = this.#host.offer();
    this.#asked = { initiator, own };
    this.#host.scheduler.control(FRAME.handshake1, 0, initiator.writeMessage1(encodeOffer(own)));
  }

  // <- e, ee, se, psk
  receiveHandshake1(message: Buffer): void {
    if (this.#host.initiator || this.#answered !== undefined) throw outOfOrder('HANDSHAKE1');
    const responder = new Responder(this.#common(this.#session));
    const { payload, remoteStatic } = responder.readMessage1(message);
    const peer = this.#host.peer();
    if (peer === undefined || !remoteStatic.equals(peer.tunnelKey)) {
      throw new MuxError('wrong-state', 'a handshake inside the tunnel by another key');
    }
    const own = this.#host.offer();
    const answer = responder.writeMessage2(peer.psk, encodeOffer(own));
    const session = sessionFor(answer.session, this.#host.capability);
    const generation = this.#host.datagrams(session, own, decodeOffer(payload).offer);
    this.#host.scheduler.last(FRAME.handshake2, answer.message);
    this.#host.sealer.setKeys(session.send);
    this.#answered = { session, send: () => generation.send() };
  }

  receiveHandshake2(message: Buffer): void {
    const asked = this.#asked;
    if (asked === undefined) throw outOfOrder('HANDSHAKE2');
    this.#asked = undefined;
    const answer = asked.initiator.readMessage2(message);
    const session = sessionFor(answer.session, this.#host.capability);
    this.#host.opener.setKeys(session.receive);
    this.#host.scheduler.last(FRAME.switchKeys);
    this.#host.sealer.setKeys(session.send);
    this.#host.datagrams(session, asked.own, decodeOffer(answer.payload).offer).send();
    this.#renewed(session);
  }

  receiveSwitch(): void {
    const answered = this.#answered;
    if (answered === undefined) throw outOfOrder('SWITCH');
    this.#answered = undefined;
    this.#host.opener.setKeys(answered.session.receive);
    answered.send();
    this.#renewed(answered.session);
  }

  #renewed(session: Session): void {
    this.#session = session;
    this.#renewedAt = this.#context.now();
    this.#rekeyedAt = this.#renewedAt;
    this.#context.counters.renewals += 1;
  }

  #common(session: Session) {
    const { keys, network, newEphemeral } = this.#context;
    return {
      cipher: session.cipher,
      prologue: prologue(network, session.handshakeHash),
      staticKey: keys,
      newEphemeral,
    };
  }
}

function outOfOrder(frame: string): MuxError {
  return new MuxError('wrong-state', `${frame} out of order`);
}
