/** Whether the peer is still there, how far it is, and how much moves: pings, silence, and a rate. */
import type { TunnelContext } from './context.ts';

/** Bytes in one tick over which a tunnel counts as busy: a bulk copy, not a busy request stream. */
const BUSY_BYTES = 8 * 1024 * 1024;
/** Measurements of the way that count: about a minute of them. */
const MEASUREMENTS = 6;

export interface LivenessHost {
  ping(token: Buffer): void;
  /**
   * The shortest of the last measurements, milliseconds. A ping that waits behind bulk tells of the bulk and not of the way,
   * and windows that grew by it would have even more wait.
   */
  roundTrip(milliseconds: number): void;
  /** Whether something hangs on the peer: flows, answers it owes, bytes it has not taken. Silence is then taken more seriously. */
  carrying(): boolean;
  /** Whether bytes wait for the connection: what is said now would only wait behind them. */
  stuck(): boolean;
  /** Asks the peer for a sign beside the connection. */
  askBeside(): void;
  dead(): void;
}

interface Waiter {
  resolve(microseconds: number): void;
  reject(error: Error): void;
}

export class Liveness {
  readonly #context: TunnelContext;
  readonly #host: LivenessHost;
  #heardAt: number;
  #heardBesideAt = Number.NEGATIVE_INFINITY;
  #pingedAt: number | undefined;
  #pingId = 0n;
  #measuredAt: number;
  #waiters: Waiter[] = [];
  #measured: number[] = [];
  #moved = 0;
  /** Since the last tick. */
  #said: boolean = false;
  #saidAt: number;
  #busy: boolean = false;
  #doubted: boolean = false;
  #closed: boolean = false;

  constructor(context: TunnelContext, host: LivenessHost) {
    this.#context = context;
    this.#host = host;
    this.#heardAt = context.now();
    this.#measuredAt = this.#heardAt;
    this.#saidAt = this.#heardAt;
  }

  /** The peer may be gone: a ping is overdue, or it has moved and has not answered since. */
  get suspect(): boolean {
    return this.#doubted || this.#overdue;
  }

  get #overdue(): boolean {
    return this.#pingedAt !== undefined && this.#context.now() - this.#pingedAt > this.#context.settings.suspect;
  }

  /** Nor does a packet beside the connection tell that it is there: datagrams go nowhere. */
  get silent(): boolean {
    return this.#overdue && this.#context.now() - this.#heardBesideAt > this.#context.settings.suspect;
  }

  /** Heard of as lately as any peer is that carries flows, so that it is hardly gone without a word: not restarted, nor forgotten by a NAT. */
  get fresh(): boolean {
    const { heartbeat, tick } = this.#context.settings;
    return this.#context.now() - this.#heardAt <= heartbeat + tick;
  }

  /** Bulk moved lately. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The shortest round trip of about a minute, milliseconds; undefined before the first. */
  get shortest(): number | undefined {
    return this.#measured.length === 0 ? undefined : Math.min(...this.#measured);
  }

  heard(bytes: number): void {
    this.#heardAt = this.#context.now();
    this.#moved += bytes;
  }

  /** The peer's, shown to be so, in a packet beside the connection. */
  heardBeside(): void {
    this.#heardBesideAt = this.#context.now();
  }

  said(bytes: number): void {
    this.#moved += bytes;
    this.#said = true;
  }

  /** One ping is out at a time, however many ask. */
  ping(): void {
    if (this.#pingedAt !== undefined || this.#closed) return;
    this.#pingedAt = this.#context.now();
    this.#pingId += 1n;
    this.#host.ping(this.#token());
  }

  /** The peer may have left this tunnel: it is no place for new flows until it answers. */
  doubt(): void {
    this.#doubted = true;
    this.ping();
  }

  /** Round trip in microseconds. */
  measure(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new Error('the tunnel is closed'));
        return;
      }
      this.#waiters.push({ resolve, reject });
      this.ping();
    });
  }

  pong(token: Buffer): void {
    if (this.#pingedAt === undefined || token.readBigUInt64BE() !== this.#pingId) return;
    const milliseconds = this.#context.now() - this.#pingedAt;
    this.#pingedAt = undefined;
    this.#doubted = false;
    this.#measuredAt = this.#context.now();
    this.#measured = [...this.#measured.slice(1 - MEASUREMENTS), milliseconds];
    this.#host.roundTrip(Math.min(...this.#measured));
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve(Math.round(milliseconds * 1000));
  }

  tick(): void {
    const now = this.#context.now();
    const { keepalive, heartbeat, dead, deadWhenCarrying } = this.#context.settings;
    this.#busy = this.#moved > BUSY_BYTES;
    this.#moved = 0;
    if (this.#said) this.#saidAt = now;
    this.#said = false;
    const silence = now - this.#heardAt;
    const carrying = this.#host.carrying();
    // Of a peer whose packets come, the connection stands still, as TCP does where much is lost: it has the time of an idle one.
    // No longer, for its streams hang on it, and a middlebox may have forgotten it alone. A peer that ends says its last beside
    // the connection up to a heartbeat after its last in it, and is to be dead as soon as any other.
    const beside = now - this.#heardBesideAt < deadWhenCarrying - heartbeat;
    if (silence > (carrying && !beside ? deadWhenCarrying : dead)) {
      this.#host.dead();
      return;
    }
    // Without flows of UDP nothing comes there unasked.
    if (carrying && !this.fresh) this.#host.askBeside();
    const due = silence >= (carrying ? heartbeat : keepalive) || now - this.#measuredAt >= keepalive;
    if (due && this.#pingedAt === undefined) this.ping();
    // The answer to a ping may wait behind the peer's bulk, and the peer has no other sign then that bytes still pass.
    else if (carrying && now - this.#saidAt >= heartbeat && !this.#host.stuck()) this.#say();
  }

  #say(): void {
    if (this.#pingedAt === undefined) this.ping();
    else this.#host.ping(this.#token());
  }

  #token(): Buffer {
    const token = Buffer.allocUnsafe(8);
    token.writeBigUInt64BE(this.#pingId);
    return token;
  }

  close(): void {
    this.#closed = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(new Error('the tunnel is closed'));
  }
}
