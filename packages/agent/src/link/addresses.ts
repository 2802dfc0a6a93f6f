/** Where control is looked for: all that is known, the newest first, and where it was heard last before that. */
import {
  type AddressRange,
  addressKind,
  inRange,
  leadsToLoopback,
  normalHost,
  parseAddress,
  parseHostPort,
} from '@weft/proto';
import { ControlUnreachableError, tellAll, toldAt } from '@weft/proto/wire';

export interface KnownAddresses {
  /** What the person who started the agent said; left out for nothing. */
  readonly named: string | undefined;
  /** What control said last. */
  readonly told: readonly string[];
  /** What the join token said. */
  readonly joined: readonly string[];
}

/** HOST:PORT each, in the order to try. `range`: this agent's VIPs, at which it would find itself. */
export function controlAddresses({ named, told, joined }: KnownAddresses, range: AddressRange): string[] {
  const elsewhere = told.filter((address) => isElsewhere(address, range));
  return [...new Set([named ?? [], elsewhere, joined].flat())];
}

function isElsewhere(told: string, range: AddressRange): boolean {
  const host = normalHost(parseHostPort(told)?.host ?? '');
  if (host === undefined) return false;
  const address = parseAddress(host);
  if (address !== undefined && inRange(address, range)) return false;
  // Of a link, what is there is the cloud's own and no control.
  return ['name', 'outside', 'loopback'].includes(addressKind(host));
}

/** Which address to try next. Each is tried once before any is tried again. */
export class AddressRound {
  readonly #known: () => readonly string[];
  readonly #tried = new Set<string>();
  readonly #failures = new Map<string, Error>();
  #last: string | undefined;

  /** @param known asked each time: control may tell of others meanwhile */
  constructor(known: () => readonly string[]) {
    this.#known = known;
  }

  next(): string {
    const known = this.#known();
    const ordered = this.#last !== undefined && known.includes(this.#last) ? [this.#last, ...known] : known;
    let address = ordered.find((each) => !this.#tried.has(each));
    if (address === undefined) {
      this.#tried.clear();
      address = ordered[0] ?? '';
    }
    this.#tried.add(address);
    return address;
  }

  /** Whether none is left that was not tried since control was heard, or since the last round. */
  get over(): boolean {
    return this.#known().every((each) => this.#tried.has(each));
  }

  /** Control was heard there. */
  served(address: string): void {
    this.#last = address;
    this.#tried.clear();
    this.#failures.clear();
  }

  /** Control answers there, and does not serve. */
  answered(address: string): void {
    this.#failures.delete(address);
  }

  failed(address: string, cause: Error): void {
    this.#failures.set(address, cause);
  }

  /**
   * Why control is not heard: the last of each address that was tried since it was, and each advice once. A token that was made on control's
   * own host leads to loopback too: that nobody listens there says nothing beside others.
   */
  get why(): string {
    const known = this.#known();
    const failed = [...this.#failures].filter(([address]) => known.includes(address));
    const telling = failed.filter(
      ([address, cause]) => !(cause instanceof ControlUnreachableError && cause.refused && leadsToLoopback(address)),
    );
    return tellAll((telling.length > 0 ? telling : failed).map(([address, cause]) => toldAt(address, cause)));
  }
}
