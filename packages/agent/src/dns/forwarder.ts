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
import { Exchange, type Missed } from './exchange.ts';
import { Flag, HEADER_LENGTH, type Query } from './message.ts';
import { type OwnGround, withoutOwnGround } from './rebinding.ts';
import { MOST_AT_ONCE } from './share.ts';
import type { DnsCounters, Reply, Transport } from './types.ts';
import { UpstreamHealth } from './upstream-health.ts';
import type { UpstreamSource } from './upstreams.ts';

/** Askers of all of them together. */
const MAX_WAITERS = 2048;
/** Names in a row without an answer that are no accident: of one the server may be lame, and how long they are a matter of now. */
const UNANSWERED = 2;
const LATELY_MS = 60_000;

export interface ForwarderOptions {
  readonly upstreams: UpstreamSource;
  readonly timeoutMs: number;
  readonly counters: DnsCounters;
  readonly ground: OwnGround;
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
  readonly #health = new UpstreamHealth();
  readonly #pending = new Map<string, Pending>();
  #waiters = 0;
  #unanswered = new Set<string>();
  #unansweredMs = 0;
  /** Of the last of them. */
  #why: Missed = NOTHING;
  #closed: boolean = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  forward(packet: Buffer, query: Query, transport: Transport, reply: Reply): void {
    const { counters, upstreams } = this.#options;
    const key = sameness(query, transport);
    const known = this.#pending.get(key);
    if (this.#closed || this.#waiters >= MAX_WAITERS || (known === undefined && this.#pending.size >= MOST_AT_ONCE)) {
      counters.overloaded++;
      reply(servfail(query, transport));
      return;
    }
    if (known !== undefined) {
      this.#waiters++;
      known.waiters.push({ query, reply });
      return;
    }
    const { upstreams: candidates, trial } = this.#health.order(upstreams());
    if (candidates.length === 0) {
      counters.forwardFailed++;
      this.#missed(query.labels.join('.'), NOTHING);
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
      trial,
      health: this.#health,
      timeoutMs: this.#options.timeoutMs,
      clean: (answer) => this.#clean(answer, query),
      done: (message, missed) => this.#finish(key, transport, message, missed),
    });
    this.#pending.set(key, { waiters, exchange });
    exchange.start();
  }

  /** As DnsServer's. */
  unanswered(): string | undefined {
    if (this.#unanswered.size < UNANSWERED || performance.now() - this.#unansweredMs > LATELY_MS) return undefined;
    const named = this.#options.upstreams().map(({ host }) => host);
    return named.length === 0
      ? 'no resolver is named for them; name one on a nameserver line of /etc/resolv.conf, or by --dns-upstream'
      : `none of ${named.join(', ')} answers${why(this.#why)}, or name others by --dns-upstream`;
  }

  #missed(name: string, why: Missed): void {
    this.#why = why;
    if (this.#unanswered.size < UNANSWERED) this.#unanswered.add(name.toLowerCase());
    this.#unansweredMs = performance.now();
  }

  #clean(answer: Buffer, { labels }: Query): Buffer | undefined {
    const { message, dropped } = withoutOwnGround(answer, labels, this.#options.ground);
    this.#options.counters.addressesDropped += dropped;
    return message;
  }

  #finish(key: string, transport: Transport, message: Buffer | undefined, missed: Missed): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    this.#pending.delete(key);
    this.#waiters -= pending.waiters.length;
    if (message === undefined) {
      this.#options.counters.forwardFailed += pending.waiters.length;
      this.#missed(pending.waiters[0]?.query.labels.join('.') ?? '', missed);
      this.#options.logger.debug({ event: 'dns-forward-failed', ...missed }, 'no resolver answered');
    } else {
      this.#options.counters.relayed += pending.waiters.length;
      this.#unanswered.clear();
    }
    for (const { query, reply } of pending.waiters) {
      reply(message === undefined ? servfail(query, transport) : addressTo(query, message, transport));
    }
  }

  /** Ends every exchange; those who wait get SERVFAIL. */
  close(): void {
    this.#closed = true;
    for (const [key, { exchange }] of [...this.#pending]) {
      exchange.cancel();
      this.#finish(key, 'udp', undefined, NOTHING);
    }
  }
}

const NOTHING: Missed = { malformed: false };

/** And what to do. */
function why({ own, malformed }: Missed): string {
  if (own !== undefined) return `, for they cannot be asked: ${own}; see to this host's network and limits`;
  if (malformed) return ' what can be read, or that belongs to the question; see to them';
  return '; see whether they are reached from here, and do not ask this agent in turn';
}

/** Questions that one answer serves: the name, type and class without case, and what the asker wants to know of DNSSEC. */
function sameness({ question, flags, edns }: Query, transport: Transport): string {
  const asked = flags & (Flag.RD | Flag.CD);
  const extended = edns === undefined ? '' : edns.dnssecOk ? 'D' : 'E';
  return `${transport}${asked}${extended}${question.toString('latin1').toLowerCase()}`;
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
