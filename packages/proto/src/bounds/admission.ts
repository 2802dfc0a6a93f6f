/**
 * Who may hold a connection, the same at every port that strangers reach. Everyone has a share, by address group, so that
 * nobody takes all of it; and when all is taken the one that has proved nothing for the longest makes room, then the one that
 * has asked nothing for the longest: an honest newcomer is worth more than whoever sits. Who has just come is put out after all of
 * these, for it has had no time to ask. Who is served is never put out.
 */
import { isIPv6 } from 'node:net';
import { groupsOf, isLoopback, normalHost } from '../model/address.ts';

export interface AdmissionLimits {
  /** In all. */
  readonly most: number;
  /** Of one address group. Loopback has no share of its own: what comes by ssh, or by a proxy on this host, comes from there. */
  readonly mostOfOne: number;
  /** Unproved or idle, where each of those costs more than a place; as many as there are places where it does not. */
  readonly mostWaiting?: number;
  /** Milliseconds that a newcomer has to ask for something, where others wait that can make room; 500 when left out. */
  readonly graceMs?: number;
}

const GRACE_MS = 500;

/** What one connection holds. It begins as unproved: whoever it is has asked for nothing that was served. */
export interface Seat {
  /** Is being served, and keeps its seat until it is idle. */
  busy(): void;
  /** Was served, and asks nothing now. */
  idle(): void;
  /** The connection is over. Later calls do nothing. */
  leave(): void;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  /** Each oldest first. */
  readonly #unproved = new Set<Held>();
  readonly #idle = new Set<Held>();
  readonly #groups = new Map<string, Group>();
  #count = 0;
  #refused = 0;
  #evicted = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get held(): number {
    return this.#count;
  }

  /** Of those, how many are being served. */
  get served(): number {
    return this.#count - this.#unproved.size - this.#idle.size;
  }

  /** Newcomers turned away, and connections that made room, since the start. */
  get counters(): { readonly refused: number; readonly evicted: number } {
    return { refused: this.#refused, evicted: this.#evicted };
  }

  /**
   * Undefined when there is no room and nobody to make it. `evict` ends the connection that makes room, which has left then, and
   * is told whether it was unproved.
   */
  enter(address: string, evict: (unproved: boolean) => void): Seat | undefined {
    const name = addressGroup(address);
    const group = this.#groups.get(name) ?? { name, count: 0, waiting: new Set<Held>() };
    const room =
      isLoopback(address) ||
      isLoopback(name) ||
      group.count < this.#limits.mostOfOne ||
      this.#makeRoom(group.waiting.values().next().value);
    if (!room || (this.#full && !this.#makeRoom(this.#longest()))) {
      this.#refused += 1;
      return undefined;
    }
    this.#count += 1;
    group.count += 1;
    this.#groups.set(name, group);
    const held: Held = { group, evict, sinceMs: performance.now(), left: false };
    this.#wait(held, this.#unproved);
    return {
      busy: () => {
        if (!held.left) this.#serve(held);
      },
      idle: () => {
        if (held.left) return;
        this.#serve(held);
        this.#wait(held, this.#idle);
      },
      leave: () => this.#leave(held),
    };
  }

  get #full(): boolean {
    const { most, mostWaiting = most } = this.#limits;
    return this.#count >= most || this.#unproved.size + this.#idle.size >= mostWaiting;
  }

  #longest(): Held | undefined {
    const unproved = this.#unproved.values().next().value;
    const idle = this.#idle.values().next().value;
    if (unproved === undefined || idle === undefined) return unproved ?? idle;
    const { graceMs = GRACE_MS } = this.#limits;
    return performance.now() - unproved.sinceMs >= graceMs ? unproved : idle;
  }

  #makeRoom(held: Held | undefined): boolean {
    if (held === undefined) return false;
    const unproved = this.#unproved.has(held);
    this.#leave(held);
    this.#evicted += 1;
    held.evict(unproved);
    return true;
  }

  #wait(held: Held, among: Set<Held>): void {
    among.add(held);
    held.group.waiting.add(held);
  }

  #serve(held: Held): void {
    this.#unproved.delete(held);
    this.#idle.delete(held);
    held.group.waiting.delete(held);
  }

  #leave(held: Held): void {
    if (held.left) return;
    held.left = true;
    this.#serve(held);
    this.#count -= 1;
    held.group.count -= 1;
    if (held.group.count === 0) this.#groups.delete(held.group.name);
  }
}

interface Group {
  readonly name: string;
  count: number;
  /** Unproved or idle, the longest first. */
  readonly waiting: Set<Held>;
}

interface Held {
  readonly group: Group;
  readonly evict: (unproved: boolean) => void;
  /** When it came, on the monotonic clock. */
  readonly sinceMs: number;
  left: boolean;
}

/**
 * An IPv4 address, or an IPv6 /64, which is the least that a stranger is given. An IPv4 address that is written as an IPv6 one
 * (`::ffff:10.0.0.7`) is the IPv4 one; what is no address is itself.
 */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address;
  const normal = normalHost(address.replace(/%.*$/, '')) ?? address;
  if (!isIPv6(normal)) return normal;
  const network = groupsOf(normal).slice(0, 4);
  return network.map((group) => group.toString(16)).join(':');
}
