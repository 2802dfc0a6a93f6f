/** Which rules speak of a party, found by the party's few selectors and not by going through the rules. */
import type { Rule, Service } from '../model/mesh.ts';
import { includesPort } from '../model/ports.ts';
import { selectorsOfService, selectorsOfSource, userOf } from '../model/selector.ts';
import { entryOf } from '../model/values.ts';
import type { CallerUser, Destination, Source } from './types.ts';

/** Lists of places, each ascending; a place may be in several. */
type Places = readonly (readonly number[])[];

export class RuleIndex {
  readonly #rules: readonly Pick<Rule, 'action'>[];
  readonly #from: ReadonlyMap<string, readonly number[]>;
  readonly #to: ReadonlyMap<string, readonly number[]>;
  /** By the list of services that a host may be, which many hosts share. */
  readonly #ofAny = new WeakMap<readonly Service[], readonly number[]>();

  constructor(rules: readonly Pick<Rule, 'action' | 'from' | 'to'>[]) {
    this.#rules = rules;
    this.#from = bySelector(rules, ({ from }) => from);
    this.#to = bySelector(rules, ({ to }) => to);
  }

  /**
   * Places of the rules that speak of the source, ascending: those whose `from` selects it, and of a host's process also
   * those that deny a service which it may be.
   */
  from(source: Source): number[] {
    return merged(this.listsFrom(source));
  }

  /** The same, as they are kept. */
  listsFrom(source: Source): Places {
    const own = select(this.#from, selectorsOfSource(source));
    if (source.type !== 'host' || source.services.length === 0) return own;
    const { services } = source;
    const denying = entryOf(this.#ofAny, services, () =>
      merged(select(this.#from, selectorsOfCallers(services))).filter((place) => this.#rules[place]?.action === 'deny'),
    );
    return [...own, denying];
  }

  /** Places of the rules whose `from` holds these very words, ascending. */
  placesOf(selector: string): readonly number[] {
    return this.#from.get(selector) ?? [];
  }

  /** Places of the rules that speak of users, by name or of any, ascending. */
  ofUsers(name?: string): number[] {
    const texts =
      name === undefined ? [...this.#from.keys()].filter((text) => userOf(text) !== undefined) : [`user:${name}`];
    return merged(select(this.#from, texts));
  }

  /** Places of the rules whose `to` selects the service, ascending. */
  to(service: Service): number[] {
    return merged(this.listsTo(service));
  }

  /** The same, as they are kept. */
  listsTo(service: Service): Places {
    return select(this.#to, selectorsOfService(service));
  }
}

function bySelector<One>(
  rules: readonly One[],
  textsOf: (rule: One) => readonly string[],
): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (const [place, rule] of rules.entries()) {
    for (const text of textsOf(rule)) {
      const places = index.get(text);
      if (places === undefined) index.set(text, [place]);
      else places.push(place);
    }
  }
  return index;
}

function select(index: ReadonlyMap<string, readonly number[]>, texts: Iterable<string>): Places {
  const found: (readonly number[])[] = [];
  for (const text of texts) {
    const places = index.get(text);
    if (places !== undefined) found.push(places);
  }
  return found;
}

/** Each once, ascending. */
function merged(places: Places): number[] {
  return [...new Set(places.flat())].sort((one, other) => one - other);
}

/** Each once: services of one kind share its selector, and there may be thousands. */
function selectorsOfCallers(services: readonly Service[]): Set<string> {
  return new Set(services.flatMap((service) => selectorsOfSource({ type: 'service', service })));
}

/** Bit n of the whole is rule n; 32 rules a word. */
export type Mask = Uint32Array;

/** The words of a mask that are not zero, each behind its place: what few of many rules speak of is read within a cache line or two. */
export type SparseMask = Uint32Array;

/** Most destination masks kept. With 10,000 rules a sparse mask has 2.5 KB at most, so a caller that tries every port costs 20 MB. */
const MAX_DESTINATIONS = 8_192;

/**
 * Which rules select a source, and which a destination: worked out once per service (and port) or host and kept, for as
 * long as its object lives. The same name in another object, with other tags, is worked out anew.
 */
export class RuleMasks {
  readonly #rules: readonly Rule[];
  readonly #index: RuleIndex;
  readonly #internet: Mask;
  /** Rules that speak of users; undefined where none does. */
  readonly #users: Mask | undefined;
  /** Of those that deny: whoever's user is not known may be theirs. */
  readonly #unknown: Mask | undefined;
  /** By name, of those that rules name. */
  readonly #named = new Map<string, Mask>();
  readonly #sources = new WeakMap<object, Mask>();
  #destinations = new WeakMap<Service, Map<number, SparseMask>>();
  #destinationsKept = 0;
  /** Zero between two uses. */
  readonly #scratch: Mask;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#scratch = new Uint32Array(Math.ceil(rules.length / 32));
    this.#index = new RuleIndex(rules);
    this.#internet = this.#make(this.#index.listsFrom({ type: 'internet' }));
    const users = this.#index.ofUsers();
    if (users.length === 0) return;
    this.#users = this.#make([users]);
    this.#unknown = this.#make([users], ({ action }) => action === 'deny');
    const names = rules.flatMap(({ from }) => from.flatMap((text) => userOf(text) ?? []));
    for (const name of new Set(names)) this.#named.set(name, this.#make([this.#index.ofUsers(name)]));
  }

  /** Rules that speak of the source, as RuleIndex finds them. */
  source(source: Source): Mask {
    if (source.type === 'internet') return this.#internet;
    const holder = source.type === 'service' ? source.service : source;
    const known = this.#sources.get(holder);
    if (known !== undefined) return known;
    const mask = this.#make(this.#index.listsFrom(source));
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
  destination(destination: Destination): SparseMask {
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
    const mask = this.#makeSparse(this.#index.listsTo(service), ({ ports }) => {
      return ports.length === 0 || includesPort(ports, port, protocol);
    });
    byPort.set(key, mask);
    this.#destinationsKept++;
    return mask;
  }

  #make(places: Places, applies?: (rule: Rule) => boolean): Mask {
    const mask = new Uint32Array(this.#scratch.length);
    this.#set(mask, places, applies);
    return mask;
  }

  #set(mask: Mask, places: Places, applies?: (rule: Rule) => boolean): void {
    for (const list of places) {
      for (const number of list) {
        const rule = this.#rules[number];
        if (rule === undefined || applies?.(rule) === false) continue;
        mask[number >>> 5] = (mask[number >>> 5] ?? 0) | (1 << (number & 31));
      }
    }
  }

  #makeSparse(places: Places, applies: (rule: Rule) => boolean): SparseMask {
    const scratch = this.#scratch;
    this.#set(scratch, places, applies);
    let filled = 0;
    for (let place = 0; place < scratch.length; place++) if (scratch[place] !== 0) filled += 1;
    const pairs = new Uint32Array(2 * filled);
    for (let place = 0, at = 0; at < pairs.length; place++) {
      const word = scratch[place] ?? 0;
      if (word === 0) continue;
      pairs[at++] = place;
      pairs[at++] = word;
    }
    scratch.fill(0);
    return pairs;
  }
}

/** Number of the first rule in both, or -1; `also` adds to the first. */
export function firstInBoth(a: Mask, b: SparseMask, also?: Mask): number {
  for (let at = 0; at < b.length; at += 2) {
    const place = b[at] ?? 0;
    const bits = ((a[place] ?? 0) | (also?.[place] ?? 0)) & (b[at + 1] ?? 0);
    // bits & -bits is its lowest bit alone.
    if (bits !== 0) return place * 32 + 31 - Math.clz32(bits & -bits);
  }
  return -1;
}
