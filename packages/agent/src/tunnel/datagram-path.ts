/**
 * The UDP path of one tunnel. It carries datagrams once a probe came back, in packets of a size that a probe has shown to
 * pass, larger ones in fragments; until then, and whenever probes stay unanswered, datagrams go inside the tunnel. What the
 * path takes is found by probes alone (RFC 8899): nothing here waits for ICMP. Probes are sent while UDP flows are open, and
 * a few at the start, for who asks what the path takes, and while the connection beside it is silent. The peer's address is wherever its last proven packet came from.
 */
import { FRAGMENT_HEADER, GREATEST_PACKET_LIMIT, ITEM_HEADER, PACKET_OVERHEAD } from '../protocol/datagram/format.ts';
import type { DatagramOffer } from '../protocol/datagram/offer.ts';
import { DatagramOpener, type ItemHandler, type OpenOutcome } from '../protocol/datagram/opener.ts';
import { Reassembly } from '../protocol/datagram/reassembly.ts';
import { DatagramSealer } from '../protocol/datagram/sealer.ts';
import type { DatagramFlow } from '../protocol/mux/datagram-flow.ts';
import type { NewInPlaceKey } from '../protocol/noise/in-place.ts';
import type { Session } from '../protocol/noise/session.ts';
import type { DatagramAddress, DatagramPort } from './datagram-port.ts';
import { PathSize, type ShownSize } from './path-size.ts';

/** Milliseconds between probes of a proven path: idle, and with traffic. */
const PROBE_IDLE = 10_000;
const PROBE_BUSY = 2_000;
/** Between probes of a path whose size is in question. */
const PROBE_DOUBTED = 900;
/** Rounds of probes at the start of a tunnel, though it has no UDP flow. */
const FIRST_ROUNDS = 3;
/** A proven path is given up when no answer came for this long: idle, and with traffic. */
const LOST_IDLE = 25_000;
const LOST_BUSY = 5_000;
/** Longest pause between tries of a path that is not proven. */
const RETRY_LAST = 10_000;
/**
 * How long datagrams wait for the first answer, and how many bytes go inside the tunnel meanwhile: what makes a full TCP
 * segment may never pass where an answer would have shown how little does, and holds up all that is behind it.
 */
const DECIDING = 400;
const INSIDE_MEANWHILE = 1_000;
/** Bytes that wait so; over it they are dropped, as on any full path. */
const HELD_LIMIT = 256 * 1024;
/** What each of them takes beside its bytes. */
const HELD_COST = 64;
/** How long packets of a session that was renewed are still opened. */
const OVERLAP = 10_000;
/** Sessions held at once: the one in use, one on its way in, and those before that still overlap. */
const GENERATIONS = 4;

export interface DatagramPathHost {
  readonly port: Pick<DatagramPort, 'newIndex' | 'newProbeId' | 'placeOf' | 'register' | 'unregister' | 'send'>;
  readonly now: () => number;
  /** Undefined where packets are sealed and opened by node:crypto. */
  readonly newKey?: NewInPlaceKey | undefined;
  /** A datagram of a flow; false when there is no such flow. */
  datagram(flowId: number, payload: Buffer): boolean;
  /** Whether there is such a flow. */
  takes(flowId: number): boolean;
  dropped(): void;
  /** A packet came that only the peer can have sealed, and only now. */
  heard(): void;
  /** The peer sealed something that breaks the protocol. */
  violated(message: string): void;
  /** A packet could not be sealed or opened, by our own fault. Comes in the midst of whatever was going on. */
  failed(error: unknown): void;
  /** Asks for one call of `flush` at the end of this loop turn. */
  flushSoon(): void;
}

/** A UDP flow, and the way that its datagrams take when they may not or cannot go beside the tunnel. */
export type InsideFlow = Pick<DatagramFlow, 'id' | 'sendFrame'>;

/** One session's keys and indexes. */
interface Generation {
  readonly index: number;
  readonly opener: DatagramOpener;
  readonly sealer: DatagramSealer | undefined;
  /** When to stop opening its packets; undefined while it is in use. */
  endsAt: number | undefined;
}

export class DatagramPath implements ItemHandler {
  readonly #host: DatagramPathHost;
  /** Sealed, without the packets of others. */
  bytesSent = 0;
  bytesReceived = 0;
  readonly #packetLimit = GREATEST_PACKET_LIMIT;
  #generations: Generation[] = [];
  #sending: Generation | undefined;
  #remote: DatagramAddress | undefined;
  /** Whether that is only where a packet said it came from. */
  #claimed: boolean = false;
  readonly #reassembly: Reassembly;
  #flows = 0;
  #firstRounds = FIRST_ROUNDS;
  /** Since the path was lost, or its address learnt. */
  #rounds = 0;
  readonly #path: PathSize;
  #fragmented = 0;
  /** Where packets are sealed, to be sent from there. */
  #packet: Buffer | undefined;
  /** Whether an answer is still to be waited for: not where none came before. */
  #undecided: boolean = true;
  #insideMeanwhile = 0;
  #held: { readonly flow: InsideFlow; readonly payload: Buffer }[] = [];
  #heldBytes = 0;
  #deciding: NodeJS.Timeout | undefined;
  #provenAt = 0;
  #usedSinceProof: boolean = false;
  #lastProbe = 0;
  /** Who waits for the next answer. */
  readonly #waiting = new Set<(passes: boolean) => void>();
  #retryPause = 0;
  #source: DatagramAddress | undefined;

  /** `candidate`: where the peer is likely to listen; undefined on the side that was dialled. `shown`: of all tunnels to the peer. */
  constructor(host: DatagramPathHost, candidate: DatagramAddress | undefined, shown: ShownSize) {
    this.#host = host;
    this.#path = new PathSize(shown);
    this.#reassembly = new Reassembly(() => host.dropped());
    if (candidate !== undefined) this.#remote = host.port.placeOf(candidate);
  }

  /** What to offer the peer in a handshake. */
  offer(): DatagramOffer {
    return { index: this.#host.port.newIndex(), packetLimit: this.#packetLimit };
  }

  get proven(): boolean {
    return this.#path.size > 0;
  }

  /** Bytes of UDP payload that the path has shown to carry; 0 while none were answered. */
  get size(): number {
    return this.#path.size;
  }

  /** Opens the session's packets from now on; sends with it after `send`. */
  add(session: Session, own: DatagramOffer, peer: DatagramOffer): { send(): void } {
    const opener = new DatagramOpener(session.datagramReceive, this.#host.newKey);
    const sealer =
      peer.index === 0
        ? undefined
        : new DatagramSealer({
            keys: session.datagramSend,
            receiverIndex: peer.index,
            packetLimit: Math.min(this.#packetLimit, peer.packetLimit),
            newKey: this.#host.newKey,
          });
    const generation: Generation = { index: own.index, opener, sealer, endsAt: undefined };
    this.#generations.push(generation);
    this.#host.port.register(own.index, (packet, from) => this.#receive(opener, packet, from));
    this.#boundGenerations();
    return {
      send: () => {
        this.flush();
        if (this.#sending !== undefined) this.#sending.endsAt = this.#host.now() + OVERLAP;
        this.#sending = generation;
        // The peer may take less in this session than was proven in the one before.
        if (sealer === undefined) this.#path.lose();
        else this.#path.bound(largestPacket(sealer));
      },
    };
  }

  /** Whether an answer comes within the time; asked for now, where it was not just before. */
  passes(waitMs: number): Promise<boolean> {
    if (this.#sending?.sealer === undefined || this.#remote === undefined) return Promise.resolve(false);
    const asked = this.#host.now() - this.#lastProbe < PROBE_DOUBTED;
    if (asked && this.proven && this.#provenAt >= this.#lastProbe) return Promise.resolve(true);
    this.ask();
    return new Promise((resolve) => {
      const told = (passes: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(told);
        resolve(passes);
      };
      const timer = setTimeout(told, waitMs, false);
      this.#waiting.add(told);
    });
  }

  /** Probes now, unless it did a moment ago: any answer is a sign of the peer. */
  ask(): void {
    if (this.#host.now() - this.#lastProbe >= PROBE_DOUBTED) this.#probe();
  }

  /** Counts open UDP flows: the path is probed only while there are some. */
  flowOpened(): void {
    this.#flows += 1;
    if (this.#flows > 1) return;
    const now = this.#host.now();
    this.#retryPause = 0;
    if (this.proven && now - this.#provenAt > LOST_IDLE) this.#lost();
    // An answer may be on its way: flows that come one after the other are no reason for doubt.
    if (!this.proven || now - this.#lastProbe >= PROBE_DOUBTED) this.#probe();
  }

  flowClosed(): void {
    this.#flows -= 1;
  }

  /** Sends a datagram beside the tunnel where that is proven, else inside it; false when it was dropped. The payload is lent. */
  send(flow: InsideFlow, payload: Buffer): boolean {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined) return flow.sendFrame(payload);
    if (this.#path.size === 0) return this.#sendUnproven(sealer, flow, payload);
    this.#usedSinceProof = true;
    const size = wholePacket(payload);
    if (size > this.#path.size) return this.#sendFragments(sealer, flow.id, payload, this.#path.size);
    if (sealer.pending + size > this.#path.size) this.flush();
    if (sealer.pending === 0) this.#host.flushSoon();
    return sealer.addData(flow.id, payload);
  }

  /** Sends what waits. */
  flush(): void {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined || sealer.pending === 0 || this.#remote === undefined) return;
    this.#packet ??= Buffer.allocUnsafeSlow(GREATEST_PACKET_LIMIT);
    let length: number;
    try {
      length = sealer.seal(this.#packet);
    } catch (error) {
      this.#host.failed(error);
      return;
    }
    this.bytesSent += length;
    this.#host.port.send(this.#packet.subarray(0, length), this.#remote);
  }

  tick(): void {
    const now = this.#host.now();
    this.#endGenerations(now);
    this.#reassembly.expire(now);
    if (this.#flows === 0 && (this.#firstRounds === 0 || (this.proven && !this.#path.raises(now)))) return;
    if (this.proven && now - this.#provenAt > (this.#usedSinceProof ? LOST_BUSY : LOST_IDLE)) {
      this.#lost();
      // That no answer comes is known by now.
      this.#undecided = false;
    }
    if (now - this.#lastProbe >= this.#pause(now)) this.#probe();
  }

  #pause(now: number): number {
    if (!this.proven) return this.#retryPause;
    if (this.#path.doubted || this.#path.raises(now)) return PROBE_DOUBTED;
    return this.#usedSinceProof ? PROBE_BUSY : PROBE_IDLE;
  }

  close(): void {
    for (const generation of this.#generations) this.#end(generation);
    this.#generations = [];
    this.#sending = undefined;
    this.#path.lose();
    clearTimeout(this.#deciding);
    for (const told of this.#waiting) told(false);
    for (const _ of this.#held.splice(0)) this.#host.dropped();
  }

  // --- items of a proven packet ---

  data(flowId: number, payload: Buffer): void {
    if (!this.#host.datagram(flowId, payload)) this.#host.dropped();
  }

  fragment(flowId: number, number: number, index: number, count: number, piece: Buffer): void {
    if (!this.#host.takes(flowId)) {
      this.#host.dropped();
      return;
    }
    const whole = this.#reassembly.add(flowId, number, index, count, piece, this.#host.now());
    if (whole !== undefined) this.data(flowId, whole);
  }

  probe(id: number, packetSize: number): void {
    this.#learn();
    const sealer = this.#sending?.sealer;
    if (sealer === undefined) return;
    // Gathered, for a packet may hold many: an answer each would make a flood of one packet, to whatever address it came from.
    if (!sealer.addProbeAck(id, packetSize)) {
      this.flush();
      sealer.addProbeAck(id, packetSize);
    }
    this.#host.flushSoon();
    // The peer gets through to us: a good moment to see whether we get through to it.
    if (
      (this.#flows > 0 || this.#firstRounds > 0) &&
      !this.proven &&
      this.#host.now() - this.#lastProbe > PROBE_BUSY / 10
    )
      this.#probe();
  }

  probeAck(id: number): void {
    this.#learn();
    const now = this.#host.now();
    const answer = this.#path.answer(id, now);
    if (answer === undefined) return;
    this.#provenAt = now;
    for (const told of this.#waiting) told(true);
    this.#claimed = false;
    this.#usedSinceProof = false;
    this.#retryPause = 0;
    if (answer !== 'grown') return;
    this.#undecided = true;
    this.#release();
  }

  // --- inside ---

  #receive(opener: DatagramOpener, packet: Buffer, from: DatagramAddress): void {
    this.#source = from;
    const outcome = this.#open(opener, packet);
    if (outcome === undefined) this.#host.dropped();
    else if (outcome === 'opened') {
      this.bytesReceived += packet.length;
      this.#host.heard();
      this.#learn();
    } else if (outcome === 'malformed') this.#host.violated('a sealed packet out of form');
    else this.#host.dropped();
    this.#source = undefined;
  }

  /** Undefined where that fails by our own fault. */
  #open(opener: DatagramOpener, packet: Buffer): OpenOutcome | undefined {
    try {
      return opener.open(packet, this);
    } catch (error) {
      this.#host.failed(error);
      return undefined;
    }
  }

  /**
   * The packet in hand has proved itself: that is where the peer is now. Its address is not sealed, so a new one is worth
   * probes and nothing more before one was answered from there: else a flow could be aimed at anyone (RFC 9000 section 9.3).
   */
  #learn(): void {
    if (this.#source === undefined) return;
    const { address, port } = this.#source;
    if (this.#remote?.address === address && this.#remote.port === port) return;
    this.flush();
    this.#remote = { address, port };
    this.#claimed = true;
    this.#lost();
    this.#path.forget();
  }

  #lost(): void {
    this.#path.lose();
    this.#rounds = 0;
    this.#retryPause = 0;
    this.#insideMeanwhile = 0;
  }

  /** One round: each size that is in question once. */
  #probe(): void {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined || this.#remote === undefined) return;
    const now = this.#host.now();
    this.flush();
    // Two rounds before had all the time that an answer is waited for: the first may come before the peer can open it.
    if (!this.proven && this.#rounds > 1 && now - this.#lastProbe >= DECIDING) this.#undecided = false;
    this.#rounds += 1;
    for (const size of this.#path.round(largestPacket(sealer), now)) {
      const id = this.#host.port.newProbeId();
      this.#path.sent(id, size);
      sealer.addProbe(id, size);
      this.flush();
    }
    this.#lastProbe = now;
    if (this.#firstRounds > 0) this.#firstRounds -= 1;
    if (!this.proven) this.#retryPause = Math.min(Math.max(this.#retryPause * 2, 900), RETRY_LAST);
  }

  #sendFragments(sealer: DatagramSealer, flowId: number, payload: Buffer, size: number): boolean {
    const room = size - PACKET_OVERHEAD - ITEM_HEADER - FRAGMENT_HEADER;
    const count = Math.ceil(payload.length / room);
    const number = this.#fragmented;
    this.#fragmented = (number + 1) % 0x1_0000;
    for (let index = 0; index < count; index++) {
      this.flush();
      sealer.addFragment(
        flowId,
        number,
        index,
        count,
        payload,
        index * room,
        Math.min((index + 1) * room, payload.length),
      );
    }
    this.#host.flushSoon();
    return true;
  }

  #sendUnproven(sealer: DatagramSealer, flow: InsideFlow, payload: Buffer): boolean {
    const small = this.#path.small(this.#host.now());
    if (!this.#undecided || (this.#remote === undefined && small > 0)) {
      if (small === 0 || wholePacket(payload) <= small) return flow.sendFrame(payload);
      if (this.#remote === undefined || this.#claimed) return false;
      return this.#sendFragments(sealer, flow.id, payload, small);
    }
    this.#insideMeanwhile += payload.length;
    if (this.#insideMeanwhile <= INSIDE_MEANWHILE) return flow.sendFrame(payload);
    const cost = payload.length + HELD_COST;
    if (this.#heldBytes + cost > HELD_LIMIT) return false;
    // Of an address that was learnt a moment ago nothing was asked yet.
    if (this.#rounds === 0 && this.#host.now() - this.#lastProbe > PROBE_BUSY / 10) this.#probe();
    this.#held.push({ flow, payload: Buffer.from(payload) });
    this.#heldBytes += cost;
    this.#decideLater();
    return true;
  }

  #decideLater(): void {
    const asked = this.#lastProbe;
    this.#deciding ??= setTimeout(() => {
      this.#deciding = undefined;
      // Of an address that was learnt meanwhile nothing was asked yet, or only since.
      if (this.#rounds === 0) this.#probe();
      if (this.#rounds === 1 && this.#lastProbe !== asked) this.#decideLater();
      else {
        this.#undecided = false;
        this.#release();
      }
    }, DECIDING);
  }

  /** Sends what waited for an answer, by whichever way is known now. */
  #release(): void {
    clearTimeout(this.#deciding);
    this.#deciding = undefined;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const { flow, payload } of held) if (!this.send(flow, payload)) this.#host.dropped();
  }

  /** A peer that renews without end costs the oldest of its own sessions. */
  #boundGenerations(): void {
    if (this.#generations.length <= GENERATIONS) return;
    const oldest = this.#generations.findIndex((generation) => generation !== this.#sending);
    for (const generation of this.#generations.splice(oldest, 1)) this.#end(generation);
  }

  #endGenerations(now: number): void {
    if (this.#generations.length < 2) return;
    this.#generations = this.#generations.filter((generation) => {
      if (generation.endsAt === undefined || generation.endsAt > now) return true;
      this.#end(generation);
      return false;
    });
  }

  #end({ index, opener, sealer }: Generation): void {
    this.#host.port.unregister(index);
    opener.end();
    sealer?.end();
  }
}

/** UDP payload of a packet that carries this datagram alone. */
function wholePacket(payload: Buffer): number {
  return PACKET_OVERHEAD + ITEM_HEADER + payload.length;
}

/** UDP payload of the session's fullest packet. */
function largestPacket(sealer: DatagramSealer): number {
  return sealer.payloadLimit + PACKET_OVERHEAD + ITEM_HEADER;
}
