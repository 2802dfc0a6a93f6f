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
import { domainOf, type Waiting, WaitingQuestions } from './waiting.ts';

const BOUNDS = { questions: MOST_AT_ONCE, waiters: 2_048 };
/** Names in a row without an answer that are no accident: of one the server may be lame, and how long they are a matter of now. */
const UNANSWERED = 2;
const LATELY_MS = 60_000;
const CROWDED_MS = 10_000;
/** Of a domain that may stand in a message: whoever asks has chosen it. */
const PLAIN = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

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

interface Pending extends Waiting {
  readonly waiters: Waiter[];
  readonly exchange: Exchange;
  readonly transport: Transport;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #health = new UpstreamHealth();
  readonly #pending = new WaitingQuestions<Pending>(BOUNDS);
  /** Their domains. */
  readonly #unanswered = new Map<string, string>();
  #unansweredMs = 0;
  #answeredMs = Number.NEGATIVE_INFINITY;
  /** When a bound was met last, and by whose names; undefined before. */
  #crowded: { readonly atMs: number; readonly domain: string } | undefined;
  /** Of the last of them. */
  #why: Missed = NOTHING;
  #closed: boolean = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  forward(packet: Buffer, query: Query, transport: Transport, reply: Reply): void {
    const { counters, upstreams } = this.#options;
    const key = sameness(query, transport);
    const domain = domainOf(query.labels);
    if (this.#closed || !this.#makesRoom(key, domain)) {
      counters.overloaded++;
      reply(servfail(query, transport));
      return;
    }
    const known = this.#pending.get(key);
    if (known !== undefined) {
      known.waiters.push({ query, reply });
      this.#pending.joined();
      return;
    }
    const { upstreams: candidates, trial } = this.#health.order(upstreams());
    if (candidates.length === 0) {
      counters.forwardFailed++;
      this.#missed(query, NOTHING);
      reply(servfail(query, transport));
      return;
    }
    counters.forwarded++;
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
      done: (message, missed) => this.#finish(key, message, missed),
    });
    this.#pending.add(key, { waiters, exchange, transport, domain, sinceMs: performance.now() });
    exchange.start();
  }

  /** As DnsServer's. */
  crowded(): string | undefined {
    const crowded = this.#crowded;
    if (crowded === undefined || performance.now() - crowded.atMs > CROWDED_MS) return undefined;
    const { questions, waiters } = BOUNDS;
    const whose = PLAIN.test(crowded.domain) ? `, most for names of ${crowded.domain}` : '';
    return `more than ${questions} questions, or ${waiters} who ask, wait for resolvers at once${whose}`;
  }

  /** As DnsServer's. */
  unanswered(): string | undefined {
    const now = performance.now();
    if (this.#unanswered.size < UNANSWERED || now - this.#unansweredMs > LATELY_MS) return undefined;
    // Others are answered: the servers of one domain are lame, however many names of it are asked for.
    if (now - this.#answeredMs < LATELY_MS && new Set(this.#unanswered.values()).size < UNANSWERED) return undefined;
    const named = this.#options.upstreams().map(({ host }) => host);
    return named.length === 0
      ? 'no resolver is named for them; name one on a nameserver line of /etc/resolv.conf, or by --dns-upstream'
      : `none of ${named.join(', ')} answers${why(this.#why)}, or name others by --dns-upstream`;
  }

  /** Whether there is room for one more who asks this, and makes it where it has to be made. */
  #makesRoom(key: string, domain: string): boolean {
    const now = performance.now();
    const leaves = this.#pending.roomFor(key, domain, now);
    if (leaves === undefined) return true;
    this.#crowded = { atMs: now, domain: this.#pending.crowding };
    if (leaves === false) return false;
    const left = this.#pending.delete(leaves);
    left?.exchange.cancel();
    for (const { query, reply } of left?.waiters ?? []) {
      this.#options.counters.overloaded++;
      reply(servfail(query, left?.transport ?? 'udp'));
    }
    return true;
  }

  #missed({ labels }: Query, why: Missed): void {
    this.#why = why;
    const domain = domainOf(labels);
    // One name of each domain, where there are several.
    const more = this.#unanswered.size < UNANSWERED || ![...this.#unanswered.values()].includes(domain);
    if (more && this.#unanswered.size < 2 * UNANSWERED) this.#unanswered.set(labels.join('.'), domain);
    this.#unansweredMs = performance.now();
  }

  #clean(answer: Buffer, { labels }: Query): Buffer | undefined {
    const { message, dropped } = withoutOwnGround(answer, labels, this.#options.ground);
    this.#options.counters.addressesDropped += dropped;
    return message;
  }

  #finish(key: string, message: Buffer | undefined, missed: Missed): void {
    const pending = this.#pending.delete(key);
    if (pending === undefined) return;
    const { transport } = pending;
    if (message === undefined) {
      this.#options.counters.forwardFailed += pending.waiters.length;
      for (const { query } of pending.waiters.slice(0, 1)) this.#missed(query, missed);
      this.#options.logger.debug({ event: 'dns-forward-failed', ...missed }, 'no resolver answered');
    } else {
      this.#options.counters.relayed += pending.waiters.length;
      this.#unanswered.clear();
      this.#answeredMs = performance.now();
    }
    for (const { query, reply } of pending.waiters) {
      reply(message === undefined ? servfail(query, transport) : addressTo(query, message, transport));
    }
  }

  /** Ends every exchange; those who wait get SERVFAIL. */
  close(): void {
    this.#closed = true;
    for (const key of this.#pending.keys()) {
      this.#pending.get(key)?.exchange.cancel();
      this.#finish(key, undefined, NOTHING);
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
