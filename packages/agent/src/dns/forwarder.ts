/**
 * Sends what is not ours to the host's resolvers. Bounded in number and in time, and never silent: whoever asks gets the
 * first useful answer, else what the resolvers said, else SERVFAIL.
 *
 * The same question asked again while it is under way waits for the same answer. That spares the resolvers, leaves a
 * forger one question to guess at and not many, and ends a loop: a resolver that asks us back waits on itself, and both
 * time out.
 */
import type { Logger } from 'pino';
import { emptyAnswer, encodeAnswer, servfail, sizeLimit } from './answer.ts';
import { Exchange } from './exchange.ts';
import { Flag, HEADER_LENGTH, type Query } from './message.ts';
import type { DnsCounters, Reply, Transport } from './types.ts';
import type { UpstreamSource } from './upstreams.ts';

/** Questions under way, each with up to three sockets. */
const MAX_EXCHANGES = 256;
/** Askers of all of them together. */
const MAX_WAITERS = 2048;

export interface ForwarderOptions {
  readonly upstreams: UpstreamSource;
  readonly timeoutMs: number;
  readonly counters: DnsCounters;
  readonly logger: Logger;
}

interface Waiter {
  readonly query: Query;
  readonly reply: Reply;
}

interface Pending {
  readonly waiters: Waiter[];
  readonly exchange: Exchange;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #pending = new Map<string, Pending>();
  #waiters = 0;
  #closed: boolean = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  forward(packet: Buffer, query: Query, transport: Transport, reply: Reply): void {
    const { counters, upstreams } = this.#options;
    const key = transport + packet.toString('latin1', 2);
    const known = this.#pending.get(key);
    if (this.#closed || this.#waiters >= MAX_WAITERS || (known === undefined && this.#pending.size >= MAX_EXCHANGES)) {
      counters.overloaded++;
      reply(servfail(query, transport));
      return;
    }
    if (known !== undefined) {
      this.#waiters++;
      known.waiters.push({ query, reply });
      return;
    }
    const candidates = upstreams();
    if (candidates.length === 0) {
      counters.forwardFailed++;
      reply(servfail(query, transport));
      return;
    }
    counters.forwarded++;
    this.#waiters++;
    const waiters: Waiter[] = [{ query, reply }];
    const exchange = new Exchange({
      packet,
      question: query.question,
      transport,
      upstreams: candidates,
      timeoutMs: this.#options.timeoutMs,
      done: (message) => this.#finish(key, transport, message),
    });
    this.#pending.set(key, { waiters, exchange });
    exchange.start();
  }

  #finish(key: string, transport: Transport, message: Buffer | undefined): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    this.#pending.delete(key);
    this.#waiters -= pending.waiters.length;
    if (message === undefined) {
      this.#options.counters.forwardFailed += pending.waiters.length;
      this.#options.logger.debug({ event: 'dns-forward-failed' }, 'no resolver answered');
    } else this.#options.counters.relayed += pending.waiters.length;
    for (const { query, reply } of pending.waiters) {
      reply(message === undefined ? servfail(query, transport) : addressTo(query, message, transport));
    }
  }

  /** Ends every exchange; those who wait get SERVFAIL. */
  close(): void {
    this.#closed = true;
    for (const [key, { exchange }] of [...this.#pending]) {
      exchange.cancel();
      this.#finish(key, 'udp', undefined);
    }
  }
}

/** The resolver's answer under the asker's id, with the question in the asker's own case, and no larger than it takes. */
function addressTo(query: Query, message: Buffer, transport: Transport): Buffer {
  const flags = message.readUInt16BE(2);
  if (message.readUInt16BE(4) !== 1) return encodeAnswer(query, emptyAnswer(flags & Flag.RCODE), transport);
  const fits = message.length <= sizeLimit(query, transport);
  const length = fits ? message.length : HEADER_LENGTH + query.question.length;
  const reply = Buffer.from(message.subarray(0, length));
  reply.writeUInt16BE(query.id, 0);
  query.question.copy(reply, HEADER_LENGTH);
  if (!fits) {
    reply.writeUInt16BE(flags | Flag.TC, 2);
    reply.fill(0, 6, HEADER_LENGTH);
  }
  return reply;
}
