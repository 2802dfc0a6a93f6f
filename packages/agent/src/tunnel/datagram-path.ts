/**
 * The UDP path of one tunnel. It carries datagrams once a probe came back, in packets of a size that a probe has shown to
 * pass; until then, and whenever probes stay unanswered, datagrams go inside the tunnel. Probes are sent only while UDP
 * flows are open. The peer's address is wherever its last proven packet came from.
 */
import {
  GREATEST_PACKET_LIMIT,
  ITEM_HEADER,
  LEAST_PACKET_LIMIT,
  PACKET_OVERHEAD,
} from '../protocol/datagram/format.ts';
import type { DatagramOffer } from '../protocol/datagram/offer.ts';
import { DatagramOpener, type ItemHandler } from '../protocol/datagram/opener.ts';
import { DatagramSealer } from '../protocol/datagram/sealer.ts';
import type { Session } from '../protocol/noise/session.ts';
import type { DatagramAddress, DatagramPort } from './datagram-port.ts';

/** Milliseconds between probes of a proven path: idle, and with traffic. */
const PROBE_IDLE = 10_000;
const PROBE_BUSY = 2_000;
/** A proven path is given up when no answer came for this long: idle, and with traffic. */
const LOST_IDLE = 25_000;
const LOST_BUSY = 5_000;
/** Longest pause between tries of a path that is not proven. */
const RETRY_LAST = 10_000;
/** How long packets of a session that was renewed are still opened. */
const OVERLAP = 10_000;
/** Sessions held at once: the one in use, one on its way in, and those before that still overlap. */
const GENERATIONS = 4;

export interface DatagramPathHost {
  readonly port: Pick<DatagramPort, 'newIndex' | 'newProbeId' | 'reaches' | 'register' | 'unregister' | 'send'>;
  readonly now: () => number;
  /** A datagram of a flow; false when there is no such flow. */
  datagram(flowId: number, payload: Buffer): boolean;
  dropped(): void;
  /** The peer sealed something that breaks the protocol. */
  violated(message: string): void;
  /** Asks for one call of `flush` at the end of this loop turn. */
  flushSoon(): void;
}

/** One session's keys and indexes. */
interface Generation {
  readonly index: number;
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
  #flows = 0;
  /** Largest packet shown to pass; 0 while the path is not proven. */
  #provenSize = 0;
  #provenAt = 0;
  #usedSinceProof: boolean = false;
  #lastProbe = 0;
  /** Sizes of the probes that are out, by id. */
  readonly #probes = new Map<number, number>();
  #retryPause = 0;
  #source: DatagramAddress | undefined;

  /** `candidate`: where the peer is likely to listen; undefined on the side that was dialled. */
  constructor(host: DatagramPathHost, candidate: DatagramAddress | undefined) {
    this.#host = host;
    if (candidate !== undefined && host.port.reaches(candidate.address)) this.#remote = candidate;
  }

  /** What to offer the peer in a handshake. */
  offer(): DatagramOffer {
    return { index: this.#host.port.newIndex(), packetLimit: this.#packetLimit };
  }

  get proven(): boolean {
    return this.#provenSize > 0;
  }

  /** Opens the session's packets from now on; sends with it after `send`. */
  add(session: Session, own: DatagramOffer, peer: DatagramOffer): { send(): void } {
    const opener = new DatagramOpener(session.cipher, session.datagramReceiveKey);
    const sealer =
      peer.index === 0
        ? undefined
        : new DatagramSealer({
            cipher: session.cipher,
            key: session.datagramSendKey,
            receiverIndex: peer.index,
            packetLimit: Math.min(this.#packetLimit, peer.packetLimit),
          });
    const generation: Generation = { index: own.index, sealer, endsAt: undefined };
    this.#generations.push(generation);
    this.#host.port.register(own.index, (packet, from) => this.#receive(opener, packet, from));
    this.#boundGenerations();
    return {
      send: () => {
        this.flush();
        if (this.#sending !== undefined) this.#sending.endsAt = this.#host.now() + OVERLAP;
        this.#sending = generation;
        // The peer may take less in this session than was proven in the one before.
        if (sealer !== undefined) this.#provenSize = Math.min(this.#provenSize, largestPacket(sealer));
      },
    };
  }

  /** Counts open UDP flows: the path is probed only while there are some. */
  flowOpened(): void {
    this.#flows += 1;
    if (this.#flows > 1) return;
    this.#retryPause = 0;
    this.#probe();
  }

  flowClosed(): void {
    this.#flows -= 1;
  }

  /** Puts a datagram into a packet; false when it has to go inside the tunnel. */
  send(flowId: number, payload: Buffer): boolean {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined || this.#provenSize === 0) return false;
    const size = PACKET_OVERHEAD + ITEM_HEADER + payload.length;
    if (size > this.#provenSize) return false;
    if (sealer.pending + size > this.#provenSize) this.flush();
    if (sealer.pending === 0) this.#host.flushSoon();
    this.#usedSinceProof = true;
    return sealer.addData(flowId, payload);
  }

  /** Sends what waits. */
  flush(): void {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined || sealer.pending === 0 || this.#remote === undefined) return;
    const packet = Buffer.allocUnsafe(sealer.pending + PACKET_OVERHEAD);
    sealer.seal(packet);
    this.bytesSent += packet.length;
    this.#host.port.send(packet, this.#remote);
  }

  tick(): void {
    const now = this.#host.now();
    this.#endGenerations(now);
    if (this.#flows === 0) return;
    if (this.proven && now - this.#provenAt > (this.#usedSinceProof ? LOST_BUSY : LOST_IDLE)) {
      this.#provenSize = 0;
      this.#retryPause = 0;
    }
    const pause = this.proven ? (this.#usedSinceProof ? PROBE_BUSY : PROBE_IDLE) : this.#retryPause;
    if (now - this.#lastProbe >= pause) this.#probe();
  }

  close(): void {
    for (const { index } of this.#generations) this.#host.port.unregister(index);
    this.#generations = [];
    this.#sending = undefined;
    this.#provenSize = 0;
  }

  // --- items of a proven packet ---

  data(flowId: number, payload: Buffer): void {
    if (!this.#host.datagram(flowId, payload)) this.#host.dropped();
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
    if (this.#flows > 0 && !this.proven && this.#host.now() - this.#lastProbe > PROBE_BUSY / 10) this.#probe();
  }

  probeAck(id: number): void {
    this.#learn();
    const size = this.#probes.get(id);
    if (size === undefined) return;
    this.#probes.delete(id);
    this.#provenSize = Math.max(this.#provenSize, size);
    this.#provenAt = this.#host.now();
    this.#usedSinceProof = false;
    this.#retryPause = 0;
  }

  // --- inside ---

  #receive(opener: DatagramOpener, packet: Buffer, from: DatagramAddress): void {
    this.#source = from;
    const outcome = opener.open(packet, this);
    if (outcome === 'opened') {
      this.bytesReceived += packet.length;
      this.#learn();
    } else if (outcome === 'malformed') this.#host.violated('a sealed packet out of form');
    else this.#host.dropped();
    this.#source = undefined;
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
    this.#provenSize = 0;
    this.#retryPause = 0;
    this.#probes.clear();
  }

  #probe(): void {
    const sealer = this.#sending?.sealer;
    if (sealer === undefined || this.#remote === undefined) return;
    this.#lastProbe = this.#host.now();
    this.flush();
    this.#probes.clear();
    const largest = largestPacket(sealer);
    // A path that lets only the smaller through is still a path.
    const sizes = this.proven ? [this.#provenSize] : [largest, LEAST_PACKET_LIMIT];
    for (const size of sizes) {
      const id = this.#host.port.newProbeId();
      this.#probes.set(id, size);
      sealer.addProbe(id, size);
      this.flush();
    }
    if (!this.proven) this.#retryPause = Math.min(Math.max(this.#retryPause * 2, 900), RETRY_LAST);
  }

  /** A peer that renews without end costs the oldest of its own sessions. */
  #boundGenerations(): void {
    if (this.#generations.length <= GENERATIONS) return;
    const oldest = this.#generations.findIndex((generation) => generation !== this.#sending);
    for (const { index } of this.#generations.splice(oldest, 1)) this.#host.port.unregister(index);
  }

  #endGenerations(now: number): void {
    if (this.#generations.length < 2) return;
    this.#generations = this.#generations.filter((generation) => {
      if (generation.endsAt === undefined || generation.endsAt > now) return true;
      this.#host.port.unregister(generation.index);
      return false;
    });
  }
}

/** UDP payload of the session's fullest packet. */
function largestPacket(sealer: DatagramSealer): number {
  return sealer.payloadLimit + PACKET_OVERHEAD + ITEM_HEADER;
}
