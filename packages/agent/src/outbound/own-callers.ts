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
  #own = new Set<string>();
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
    if (now >= this.#lookAgainMs) {
      this.#lookAgainMs = now + LOOK_MS;
      const before = this.#own;
      this.#own = addressesOf(this.#look());
      // An interface that is down, or whose cable is out, is left out with its addresses, and they are this host's all the same.
      const missing = [...before].filter((one) => !this.#own.has(one));
      for (const one of missing) this.#own.add(one);
      // One that was down from the start is known by its second call: to ask takes a socket, and strangers have one a second.
      if (!this.#own.has(address)) missing.push(address);
      for (const one of missing) void this.#ask(one);
    }
    return this.#own.has(address);
  }

  async #ask(address: string): Promise<void> {
    const local = await this.#isLocal(address);
    if (local === true) this.#own.add(address);
    else if (local === false) this.#own.delete(address);
  }
}
