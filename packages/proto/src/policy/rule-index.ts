/** Which rules speak of a party, found by the party's few selectors and not by going through the rules. */
import type { Rule, Service } from '../model/mesh.ts';
import { includesPort } from '../model/ports.ts';
import { selectorsOfService, selectorsOfSource, userOf } from '../model/selector.ts';
import { entryOf } from '../model/values.ts';
import type { CallerUser, Destination, Source } from './types.ts';

export class RuleIndex {
  readonly #from: ReadonlyMap<string, readonly number[]>;
  readonly #denies: ReadonlyMap<string, readonly number[]>;
  readonly #to: ReadonlyMap<string, readonly number[]>;
  /** By the list of services that a host may be, which many hosts share. */
  readonly #ofAny = new WeakMap<readonly Service[], readonly number[]>();

  constructor(rules: readonly Pick<Rule, 'action' | 'from' | 'to'>[]) {
    this.#from = bySelector(rules.map(({ from }) => from));
    this.#denies = bySelector(rules.map(({ action, from }) => (action === 'deny' ? from : [])));
    this.#to = bySelector(rules.map(({ to }) => to));
  }

  /**
   * Places of the rules that speak of the source, ascending: those whose `from` selects it, and of a host's process also
   * those that deny a service which it may be.
   */
  from(source: Source): number[] {
    const own = select(this.#from, selectorsOfSource(source));
    if (source.type !== 'host' || source.services.length === 0) return own;
    const either = new Set(own);
    const { services } = source;
    const denying = entryOf(this.#ofAny, services, () => select(this.#denies, selectorsOfCallers(services)));
    for (const place of denying) either.add(place);
    return [...either].sort(ascending);
  }

  /** Places of the rules whose `from` holds these very words, ascending. */
  placesOf(selector: string): readonly number[] {
    return this.#from.get(selector) ?? [];
  }

  /** Places of the rules that speak of users, by name or of any, ascending. */
  ofUsers(name?: string): number[] {
    const texts =
      name === undefined ? [...this.#from.keys()].filter((text) => userOf(text) !== undefined) : [`user:${name}`];
    return select(this.#from, texts);
  }

  /** Places of the rules whose `to` selects the service, ascending. */
  to(service: Service): number[] {
    return select(this.#to, selectorsOfService(service));
  }
}

function bySelector(selectors: readonly (readonly string[])[]): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (const [place, texts] of selectors.entries()) {
    for (const text of texts) {
      const places = index.get(text);
      if (places === undefined) index.set(text, [place]);
      else places.push(place);
    }
  }
  return index;
}

function select(index: ReadonlyMap<string, readonly number[]>, texts: Iterable<string>): number[] {
  const found = new Set<number>();
  for (const text of texts) for (const place of index.get(text) ?? []) found.add(place);
  return [...found].sort(ascending);
}

/** Each once: services of one kind share its selector, and there may be thousands. */
function selectorsOfCallers(services: readonly Service[]): Set<string> {
  return new Set(services.flatMap((service) => selectorsOfSource({ type: 'service', service })));
}

function ascending(one: number, other: number): number {
  return one - other;
}

/** Bit n of the whole is rule n; 32 rules a word. */
export type Mask = Uint32Array;

/** Most destination masks kept. With 10,000 rules a mask has 1.25 KB, so a caller that tries every port costs 10 MB. */
const MAX_DESTINATIONS = 8_192;

/**
 * Which rules select a source, and which a destination: worked out once per service (and port) or host and kept, for as
 * long as its object lives. The same name in another object, with other tags, is worked out anew.
 */
export class RuleMasks {
  readonly #rules: readonly Rule[];
  readonly #words: number;
  readonly #index: RuleIndex;
  readonly #internet: Mask;
  /** Rules that speak of users; undefined where none does. */
  readonly #users: Mask | undefined;
  /** Of those that deny: whoever's user is not known may be theirs. */
  readonly #unknown: Mask | undefined;
  /** By name, of those that rules name. */
  readonly #named = new Map<string, Mask>();
  readonly #sources = new WeakMap<object, Mask>();
  #destinations = new WeakMap<Service, Map<number, Mask>>();
  #destinationsKept = 0;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#words = Math.ceil(rules.length / 32);
    this.#index = new RuleIndex(rules);
    this.#internet = this.#make(this.#index.from({ type: 'internet' }));
    const users = this.#index.ofUsers();
    if (users.length === 0) return;
    this.#users = this.#make(users);
    this.#unknown = this.#make(users, ({ action }) => action === 'deny');
    const names = rules.flatMap(({ from }) => from.flatMap((text) => userOf(text) ?? []));
    for (const name of new Set(names)) this.#named.set(name, this.#make(this.#index.ofUsers(name)));
  }

  /** Rules that speak of the source, as RuleIndex finds them. */
  source(source: Source): Mask {
    if (source.type === 'internet') return this.#internet;
    const holder = source.type === 'service' ? source.service : source;
    const known = this.#sources.get(holder);
    if (known !== undefined) return known;
    const mask = this.#make(this.#index.from(source));
    this.#sources.set(holder, mask);
    return mask;
  }

  /** Rules that speak of the user besides; undefined where none does. */
  user(user: CallerUser): Mask | undefined {
    return user === null ? this.#unknown : this.#named.get(user);
  }

  /** Rules that speak of any user; undefined where none does. */
  get users(): Mask | undefined {
    return this.#users;
  }

  /** By the name of each user that rules speak of. */
  get named(): ReadonlyMap<string, Mask> {
    return this.#named;
  }

  /** Rules whose `to` selects the destination's service and whose `ports` hold its port. */
  destination(destination: Destination): Mask {
    const { service, port, protocol } = destination;
    const key = port * 2 + (protocol === 'udp' ? 1 : 0);
    let byPort = this.#destinations.get(service);
    const known = byPort?.get(key);
    if (known !== undefined) return known;

    if (this.#destinationsKept >= MAX_DESTINATIONS) {
      this.#destinations = new WeakMap();
      this.#destinationsKept = 0;
      byPort = undefined;
    }
    if (byPort === undefined) {
      byPort = new Map();
      this.#destinations.set(service, byPort);
    }
    const mask = this.#make(this.#index.to(service), ({ ports }) => {
      return ports.length === 0 || includesPort(ports, port, protocol);
    });
    byPort.set(key, mask);
    this.#destinationsKept++;
    return mask;
  }

  #make(numbers: readonly number[], applies?: (rule: Rule) => boolean): Mask {
    const mask = new Uint32Array(this.#words);
    for (const number of numbers) {
      const rule = this.#rules[number];
      if (rule === undefined || applies?.(rule) === false) continue;
      mask[number >>> 5] = (mask[number >>> 5] ?? 0) | (1 << (number & 31));
    }
    return mask;
  }
}

/** Number of the first rule in both, or -1; `also` adds to the first. */
export function firstInBoth(a: Mask, b: Mask, also?: Mask): number {
  for (let word = 0; word < a.length; word++) {
    const bits = ((a[word] ?? 0) | (also?.[word] ?? 0)) & (b[word] ?? 0);
    // bits & -bits is its lowest bit alone.
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits);
  }
  return -1;
}
