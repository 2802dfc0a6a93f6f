/**
 * One forwarded question until it has one answer. The next resolver is asked when one fails, says it cannot, or is slow;
 * a slow one is still listened to, so that a name that takes its resolver long is answered all the same.
 */
import { defined, isPortless, isShortage } from '@weft/proto';
import { askTcp, askUdp, type CancelAsk } from './ask.ts';
import { Flag, Rcode } from './message.ts';
import type { Transport } from './types.ts';
import type { UpstreamHealth } from './upstream-health.ts';
import type { Upstream } from './upstreams.ts';

const ATTEMPTS = 3;
/** Share of the whole time after which a resolver counts as slow. */
const SLOW = 0.3;

/** Why there is no answer, as far as it is known: words about this host, and whether a resolver said what cannot be read. */
export interface Missed {
  readonly own?: string;
  readonly malformed: boolean;
}

export interface ExchangeOptions {
  readonly packet: Buffer;
  readonly question: Buffer;
  /** The resolver is asked in the same way first. Who asked over TCP gets no truncated answer. */
  readonly transport: Transport;
  /** At least one. */
  readonly upstreams: readonly Upstream[];
  /** Asked at the start too, and not waited for. */
  readonly trial: Upstream | undefined;
  readonly health: UpstreamHealth;
  readonly timeoutMs: number;
  /** What may be passed on of an answer; undefined of one that cannot be read. */
  readonly clean: (message: Buffer) => Buffer | undefined;
  /** Called once: with the answer, or with what came in its place when no resolver gave one in time. */
  readonly done: (message: Buffer | undefined, missed: Missed) => void;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #asking = new Set<CancelAsk>();
  readonly #byUdp = new Set<Upstream>();
  #launched = 0;
  #over: boolean = false;
  /** The best of what is no use: a resolver's word that it cannot. */
  #fallback: Buffer | undefined;
  #own: string | undefined;
  #malformed = false;
  #slow: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#deadline = setTimeout(() => this.#finish(this.#fallback), this.#options.timeoutMs);
    if (this.#options.trial !== undefined) this.#ask(this.#way(0), this.#options.trial);
    this.#launch();
  }

  /** Ends it without calling `done`. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#slow);
    clearTimeout(this.#deadline);
    for (const stop of this.#asking) stop();
    this.#asking.clear();
  }

  #finish(message: Buffer | undefined): void {
    if (this.#over) return;
    this.cancel();
    this.#options.done(message, { malformed: this.#malformed, ...defined({ own: this.#own }) });
  }

  /** Asks the next resolver; with none left, waits for those asked, if any. */
  #launch(): void {
    clearTimeout(this.#slow);
    if (this.#over) return;
    const { upstreams, timeoutMs } = this.#options;
    const upstream = this.#launched < ATTEMPTS ? upstreams[this.#launched % upstreams.length] : undefined;
    const round = Math.floor(this.#launched / upstreams.length);
    if (upstream === undefined) {
      if (this.#asking.size === 0) this.#finish(this.#fallback);
      return;
    }
    this.#launched++;
    const way = this.#way(round);
    this.#slow = setTimeout(() => {
      // Of a resolver that TCP does not get to, nothing is known yet; a single one is asked over UDP next in any case.
      if (upstreams.length === 1 || !this.#tryUdp(way, upstream)) this.#options.health.silent(upstream);
      this.#launch();
    }, timeoutMs * SLOW);
    this.#ask(way, upstream);
  }

  /** As it was asked, and the next time in the other way: a path may let one of them through alone. */
  #way(round: number): typeof askUdp {
    return (this.#options.transport === 'tcp') === (round % 2 === 0) ? askTcp : askUdp;
  }

  /** Asks a resolver that TCP does not get to over UDP, once: who asked over TCP is told what fits all the same. */
  #tryUdp(tried: typeof askUdp, upstream: Upstream): boolean {
    if (tried !== askTcp || this.#options.transport !== 'tcp' || this.#byUdp.has(upstream)) return false;
    this.#ask(askUdp, upstream);
    return true;
  }

  #ask(ask: typeof askUdp, upstream: Upstream): void {
    if (ask === askUdp) this.#byUdp.add(upstream);
    const { packet, question, transport } = this.#options;
    const stop = ask(upstream, packet, question, {
      strange: () => {
        this.#malformed = true;
      },
      answer: (answer) => {
        this.#asking.delete(stop);
        this.#options.health.answered(upstream);
        const message = this.#options.clean(answer);
        if (message === undefined) {
          this.#malformed = true;
          this.#launch();
          return;
        }
        const flags = message.readUInt16BE(2);
        if ((flags & Flag.TC) !== 0 && transport === 'tcp') {
          // It is no answer to who asked over TCP, and never becomes one.
          if (ask === askUdp) this.#ask(askTcp, upstream);
          else this.#launch();
        } else if (isUseful(flags)) {
          this.#finish(message);
        } else {
          this.#fallback ??= message;
          this.#launch();
        }
      },
      failed: (cause) => {
        this.#asking.delete(stop);
        // What this host is short of, or cannot send, says nothing of the resolver.
        if (isOwn(cause)) this.#own = cause.message;
        else if (this.#tryUdp(ask, upstream)) return;
        else this.#options.health.silent(upstream);
        this.#launch();
      },
    });
    this.#asking.add(stop);
  }
}

/** Whether the question never left this host: it is short of something, knows no way there, or may not go it. */
function isOwn(cause: Error): boolean {
  return isShortage(cause) || isPortless(cause) || ('code' in cause && UNSENT.has(cause.code));
}

const UNSENT: ReadonlySet<unknown> = new Set(['ENETUNREACH', 'ENETDOWN', 'EACCES', 'EPERM', 'EAFNOSUPPORT', 'EINVAL']);

/** NXDOMAIN is an answer. SERVFAIL, REFUSED and the like are one resolver's state, and the next may know. */
function isUseful(flags: number): boolean {
  const rcode = flags & Flag.RCODE;
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
}
