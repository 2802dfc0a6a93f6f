/**
 * Who may call a VIP: programs of this host, by one of its own addresses. Outside loopback the kernel takes calls of its neighbours
 * as at any address, and in 127.0.0.0/8 where somebody set route_localnet, as kube-proxy does.
 */
import {
  type AddressRange,
  hostInterfaces,
  inRange,
  type ListenerPlace,
  listenerName,
  parseAddress,
} from '@weft/proto';
import type { Logger } from 'pino';
import { addressesOf, isLocalAddress } from '../bytes/address-watch.ts';
import { LimitedLog } from '../tunnel/limited-log.ts';
import { type Problems, passing } from '../words/problems.ts';

/** A look takes long beside a datagram, so strangers must not have one each; an address that is new is known after so long. */
const LOOK_MS = 1_000;
/** One that is known is asked for again after so long: a neighbour may have it by then. */
const SURE_MS = 20;

export interface OwnCallersOptions {
  readonly range: AddressRange;
  readonly problems: Problems;
  readonly log: Logger;
  readonly look?: typeof hostInterfaces;
  readonly isLocal?: typeof isLocalAddress;
  /** Monotonic, milliseconds. */
  readonly now?: () => number;
}

export class OwnCallers {
  readonly #range: AddressRange;
  readonly #look: typeof hostInterfaces;
  readonly #isLocal: typeof isLocalAddress;
  readonly #now: () => number;
  readonly #limitedLog: LimitedLog;
  readonly #met: () => void;
  /** With when each was seen last. */
  readonly #own = new Map<string, number>();
  #lookAgainMs = Number.NEGATIVE_INFINITY;
  #refused = 0;

  constructor(options: OwnCallersOptions) {
    const { range, problems, log, look = hostInterfaces, isLocal = isLocalAddress } = options;
    const { now = () => performance.now() } = options;
    this.#range = range;
    this.#isLocal = isLocal;
    this.#look = look;
    this.#now = now;
    this.#limitedLog = new LimitedLog(log, now);
    this.#met = passing(problems, {
      code: 'foreign-callers',
      subject: '--vip-range',
      message:
        "other hosts call services at this host's own addresses for them, and are refused: see caller-refused in the log for who, and " +
        'keep the range from being routed here (for one in 127.0.0.0/8: sysctl net.ipv4.conf.all.route_localnet=0)',
    });
  }

  /** Connections, and datagrams, that were refused here since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether a caller at this IPv4 address is of another host; it is counted and told then. */
  refuses(address: string, called: ListenerPlace): boolean {
    if (this.#isOwn(address)) return false;
    this.#refused++;
    this.#met();
    const listener = listenerName(called);
    this.#limitedLog.warn('caller-refused', 'the caller is of another host', { address, listener });
    return true;
  }

  #isOwn(address: string): boolean {
    if (address.startsWith('127.')) return true;
    const number = parseAddress(address);
    if (number !== undefined && inRange(number, this.#range)) return true;
    const now = this.#now();
    if (now >= this.#lookAgainMs) this.#lookAround(address, now);
    const seenMs = this.#own.get(address);
    return seenMs !== undefined && (now - seenMs < SURE_MS || this.#sees(address, now));
  }

  #lookAround(caller: string, now: number): void {
    this.#lookAgainMs = now + LOOK_MS;
    for (const address of addressesOf(this.#look())) this.#own.set(address, now);
    // An interface that is down, or whose cable is out, is left out with its addresses, and they are this host's all the same. To ask
    // takes a socket, and strangers have one a second.
    for (const [address, seenMs] of this.#own) if (seenMs !== now) this.#sees(address, now);
    if (!this.#own.has(caller) && this.#isLocal(caller) === true) this.#own.set(caller, now);
  }

  /** Asked where nobody could ask, it is as it was. */
  #sees(address: string, now: number): boolean {
    const own = this.#isLocal(address) !== false;
    if (own) this.#own.set(address, now);
    else this.#own.delete(address);
    return own;
  }
}
