/**
 * One message in, one answer out, whatever the transport. Here is decided whose question it is: ours, the host's
 * resolvers', or nobody's. Nothing that is a question goes unanswered, and nothing else is answered.
 */
import type { AddressRange } from '@weft/proto';
import type { Logger } from 'pino';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import { emptyAnswer, encodeAnswer } from './answer.ts';
import type { Forwarder } from './forwarder.ts';
import { CLASS_IN, Flag, headerReply, isQuestion, type Query, Rcode, readQuery, Type } from './message.ts';
import type { DnsCounters, DnsLatency, Reply, Transport } from './types.ts';
import { Zone } from './zone.ts';

/** Finished answers kept; the whole cache goes when it is full, and at every change of the netmap. */
const MAX_CACHED = 4096;
/** Types from here to 255 ask for something other than records (RFC 6895 section 3.1); ANY alone is answered. */
const FIRST_META_TYPE = 128;

export interface ResponderOptions {
  readonly netmap: NetmapSource;
  /** Where this host's VIPs lie. */
  readonly range: AddressRange;
  readonly forwarder: Pick<Forwarder, 'forward'>;
  readonly counters: DnsCounters;
  readonly latency?: DnsLatency | undefined;
  readonly logger: Logger;
}

export class Responder {
  readonly #options: ResponderOptions;
  /** Answers over UDP by all bytes of the question but its id, so a hit needs no parsing at all. */
  readonly #cache = new Map<string, Buffer>();
  #netmap: Netmap;
  #zone: Zone;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#netmap = options.netmap.current;
    this.#zone = new Zone(this.#netmap, options.range);
  }

  /**
   * Calls `reply` once, now or later, and answers true; or answers false, and never calls it, when the message must not
   * be answered: an answer to an answer could go on for ever. The packet is lent.
   */
  respond(packet: Buffer, transport: Transport, reply: Reply): boolean {
    const { counters, latency, logger } = this.#options;
    if (!isQuestion(packet)) {
      counters.dropped++;
      return false;
    }
    counters.queries++;
    const askedMs = latency === undefined ? 0 : performance.now();
    try {
      this.#followNetmap();
      const key = transport === 'udp' ? packet.toString('latin1', 2) : undefined;
      const finished = key === undefined ? undefined : this.#cache.get(key);
      if (finished !== undefined) {
        counters.cached++;
        // A copy: the send of an earlier one may still be under way, and the id is written into it.
        const copy = Buffer.from(finished);
        copy.writeUInt16BE(packet.readUInt16BE(0), 0);
        this.#known(copy, askedMs, reply);
      } else {
        this.#answer(Buffer.from(packet), transport, key, askedMs, reply);
      }
    } catch (error) {
      counters.failed++;
      logger.error({ event: 'dns-answer-failed', err: error }, 'a question could not be answered');
      reply(headerReply(packet, Rcode.SERVFAIL));
    }
    return true;
  }

  /** Compared at each question and not on a call: no answer can then be older than the netmap that is in force. */
  #followNetmap(): void {
    const current = this.#options.netmap.current;
    if (current === this.#netmap) return;
    this.#netmap = current;
    this.#zone = new Zone(current, this.#options.range);
    this.#cache.clear();
  }

  #known(message: Buffer, askedMs: number, reply: Reply): void {
    const { counters, latency } = this.#options;
    counters.internal++;
    if (((message[3] ?? 0) & Flag.RCODE) === Rcode.NXDOMAIN) counters.missing++;
    reply(message);
    latency?.internal.observe((performance.now() - askedMs) / 1_000);
  }

  #answer(packet: Buffer, transport: Transport, key: string | undefined, askedMs: number, reply: Reply): void {
    const { counters, latency, forwarder } = this.#options;
    const opcode = packet.readUInt16BE(2) & Flag.OPCODE;
    const query = opcode === 0 ? readQuery(packet) : undefined;
    if (query === undefined) {
      counters.rejected++;
      reply(headerReply(packet, opcode === 0 ? Rcode.FORMERR : Rcode.NOTIMP));
      return;
    }
    const refusal = refuse(query);
    if (refusal !== undefined) {
      counters.rejected++;
      reply(encodeAnswer(query, emptyAnswer(refusal), transport));
      return;
    }
    const answer = this.#zone.answer(query);
    if (answer === undefined) {
      const timed: Reply = (message) => {
        latency?.forwarded.observe((performance.now() - askedMs) / 1_000);
        reply(message);
      };
      forwarder.forward(packet, query, transport, latency === undefined ? reply : timed);
      return;
    }
    const message = encodeAnswer(query, answer, transport);
    // Options, such as cookies, differ from question to question: keeping those would only push the others out.
    if (key !== undefined && !answer.rotates && query.edns?.hasOptions !== true) {
      if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
      this.#cache.set(key, message);
      this.#known(Buffer.from(message), askedMs, reply);
    } else {
      this.#known(message, askedMs, reply);
    }
  }
}

/** Why a well-formed question is not answered, whatever its name. */
function refuse(query: Query): number | undefined {
  if (query.edns !== undefined && query.edns.version > 0) return Rcode.BADVERS;
  if (query.type === Type.OPT) return Rcode.FORMERR;
  // version.bind and its like in class CH would tell strangers what runs here or upstream.
  if (query.class !== CLASS_IN) return Rcode.REFUSED;
  if (query.type === Type.AXFR || query.type === Type.IXFR) return Rcode.REFUSED;
  if (query.type >= FIRST_META_TYPE && query.type < Type.ANY) return Rcode.NOTIMP;
  return undefined;
}
