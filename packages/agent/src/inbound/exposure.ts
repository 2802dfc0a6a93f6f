/** Programs of services here that whoever reaches this host reaches past Weft: told as problems that stand while it is so. */
import type { NetworkInterfaceInfo } from 'node:os';
import {
  addressKind,
  EXPOSED_PROBLEM,
  formatHostPort,
  hostInterfaces,
  mergePorts,
  type PortRange,
  type Protocol,
} from '@weft/proto';
import { MOST_PLACES, type Place, placeKey } from '../words/place.ts';
import type { Problems } from '../words/problems.ts';
import { systemRange, type TargetAddress } from './addresses.ts';
import type { ListenerTable } from './listener-table.ts';

/** What listens where others can come from. */
export interface ExposedTarget {
  readonly service: string;
  readonly protocol: Protocol;
  /** Where the program listens, which may be another than the declared one. */
  readonly port: number;
  /** As the kernel's table has them: wildcards, or addresses of this host. */
  readonly listens: readonly string[];
  /** Whether what listens on `::` takes IPv6 alone. */
  readonly sixOnly: boolean;
  /** Of what is no target of the service: the file of its program that listens there, empty where it may not be seen. */
  readonly program?: string;
}

/** One of them, by itself. */
export interface ExposedPlace extends Place {
  readonly service: string;
  /** Empty at a target, and where it may not be seen. */
  readonly program: string;
  /** Whether the guard closes it now. */
  readonly closed: boolean;
}

/** All that is known of it. */
export interface HostExposure {
  readonly places: readonly ExposedPlace[];
  /** Sockets beyond loopback of which this agent may not see whose they are. */
  readonly hidden: number;
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

export interface ExposureOptions {
  readonly interfaces?: () => Interfaces | undefined;
  /** Ports that are meant to be reached past Weft, by the owner's word. */
  readonly allowed?: (protocol: Protocol, port: number) => boolean;
  /** Whether the guard closes the place now. */
  readonly closed?: (place: Place) => boolean;
  /** What was to be closed before the agent's start. */
  readonly before?: readonly ServicePlace[];
}

export interface ServicePlace extends Place {
  readonly service: string;
}

/** How the host is, beside what is exposed. */
export interface Surroundings {
  /** Whether anything listens on the port beyond loopback. */
  readonly held: (protocol: Protocol, port: number) => boolean;
  /** Services that run here. */
  readonly running: ReadonlySet<string>;
}

/** Undefined where no program holds the target's port beyond loopback, or on another host, which this one knows nothing of. */
export function exposedTarget(
  service: string,
  { port }: TargetAddress,
  protocol: Protocol,
  table: ListenerTable,
): ExposedTarget | undefined {
  const listens = table.beyondLoopback(protocol, port);
  if (listens.length === 0) return undefined;
  return { service, protocol, port, listens, sixOnly: !table.hasWildcard(protocol, port) };
}

/** Addresses at which others may find what listens so; none on a host that has none but loopback's. */
function reachedAt({ listens, sixOnly }: ExposedTarget, interfaces: Interfaces): readonly string[] {
  const own = Object.values(interfaces).flatMap((each) => (each ?? []).filter(({ internal }) => !internal));
  const of = (...families: readonly NetworkInterfaceInfo['family'][]) => {
    const all = own.flatMap(({ family, address }) => (families.includes(family) ? [address] : []));
    // What is reached from one wire alone is told where there is nothing else.
    const further = all.filter((address) => addressKind(address) !== 'link-local');
    return further.length > 0 ? further : all;
  };
  return listens.flatMap((address) => {
    if (address === '0.0.0.0') return of('IPv4');
    if (address === '::') return sixOnly ? of('IPv6') : of('IPv4', 'IPv6');
    return [address];
  });
}

/** Tells of those that stand, all of a service as one. */
export class Exposure {
  readonly #problems: Problems;
  readonly #options: ExposureOptions;
  readonly #interfaces: () => Interfaces | undefined;
  /** Ports that outgoing connections come from are closed only while a program listens on them: answers come to the others. */
  readonly #passing = systemRange();
  #standing: ReadonlySet<string> = new Set();
  #targets: readonly ExposedTarget[] = [];
  #programs: readonly ExposedTarget[] = [];
  #around: Surroundings = { held: () => true, running: new Set() };
  #toClose: ReadonlyMap<string, ServicePlace>;

  constructor(problems: Problems, options: ExposureOptions = {}) {
    this.#problems = problems;
    this.#options = options;
    this.#interfaces = options.interfaces ?? hostInterfaces;
    this.#toClose = new Map((options.before ?? []).map((place) => [placeKey(place), place]));
  }

  /** All targets there are now, in the order of their ports. To be called again when nothing changed of them: the host's addresses may have. */
  tell(targets: readonly ExposedTarget[], around: Surroundings = this.#around): void {
    this.#targets = targets;
    this.#around = around;
    this.#evaluate();
  }

  /** Beside the targets: other places of services' programs, and those of workers. */
  found(programs: readonly ExposedTarget[]): void {
    this.#programs = programs;
    this.#evaluate();
  }

  /** All that listens where others can come from, whether it is closed or not. */
  get places(): readonly ExposedPlace[] {
    const { closed = () => false } = this.#options;
    const all = new Map<string, ExposedPlace>();
    for (const { service, program = '', ...one } of this.#meant()) {
      for (const { protocol, address, port } of closedBy(one)) {
        const place = { protocol, address, port };
        const key = `${service} ${placeKey(place)}`;
        if (!all.has(key)) all.set(key, { service, ...place, program, closed: closed(place) });
      }
    }
    return [...all.values()];
  }

  /**
   * What the guard is to close: these, and those whose program is away and likely to come back, for as long as nobody else has the port.
   */
  get toClose(): readonly ServicePlace[] {
    return [...this.#toClose.values()];
  }

  #meant(): readonly ExposedTarget[] {
    const { allowed = () => false } = this.#options;
    const targets = new Set(this.#targets.map(({ service, protocol, port }) => `${service} ${protocol} ${port}`));
    const others = this.#programs.filter(
      ({ service, protocol, port }) => !targets.has(`${service} ${protocol} ${port}`),
    );
    return [...this.#targets, ...others].filter(({ protocol, port }) => !allowed(protocol, port));
  }

  #evaluate(): void {
    const meant = this.#meant();
    this.#gather(meant);
    const interfaces = this.#interfaces();
    if (interfaces === undefined) return;
    const { closed = () => false } = this.#options;
    const open = meant.flatMap((one) => {
      const listens = one.listens.filter((address) => !closedBy({ ...one, listens: [address] }).every(closed));
      return listens.length === 0 ? [] : [{ ...one, listens }];
    });
    const standing = new Set<string>();
    for (const [service, exposed] of Map.groupBy(open, (target) => target.service)) {
      const found = [...new Set(exposed.flatMap((target) => reachedAt(target, interfaces)))];
      if (found.length === 0) continue;
      standing.add(service);
      const message =
        `${service} may be reached past Weft: ${listening(exposed)}, so who reaches ${short(found, 'or')} needs no rule; ` +
        'let it listen on 127.0.0.1 alone, or close the port: weft guard on';
      this.#problems.raise({ code: EXPOSED_PROBLEM, subject: service, message });
    }
    for (const before of this.#standing) if (!standing.has(before)) this.#problems.clear(EXPOSED_PROBLEM, before);
    this.#standing = standing;
  }

  #gather(meant: readonly ExposedTarget[]): void {
    const { allowed = () => false } = this.#options;
    const { held, running } = this.#around;
    const now = new Map<string, ServicePlace>();
    for (const one of meant)
      for (const place of closedBy(one)) now.set(placeKey(place), { service: one.service, ...place });
    for (const [key, place] of this.#toClose) {
      const { service, protocol, port } = place;
      const stays = running.has(service) && !held(protocol, port) && !allowed(protocol, port) && !this.#passes(port);
      if (stays && !now.has(key)) now.set(key, place);
    }
    this.#toClose = new Map([...now].slice(0, MOST_PLACES));
  }

  #passes(port: number): boolean {
    const range = this.#passing;
    return range === undefined || (port >= range.first && port < range.first + range.count);
  }
}

/** What has to be closed so that nobody comes there; of a wildcard that takes both families, both. */
function closedBy({
  protocol,
  port,
  listens,
  sixOnly,
}: Pick<ExposedTarget, 'protocol' | 'port' | 'listens' | 'sixOnly'>): readonly Place[] {
  const addresses = listens.flatMap((address) => (address === '::' && !sixOnly ? ['0.0.0.0', '::'] : [address]));
  return [...new Set(addresses)].map((address) => ({ protocol, address, port }));
}

/** Such as `a program listens on 0.0.0.0:6379, where it is expected, and its program redis-server on 0.0.0.0:16379`. */
function listening(exposed: readonly ExposedTarget[]): string {
  const expected = exposed.filter(({ program }) => program === undefined);
  const others = Map.groupBy(
    exposed.filter(({ program }) => program !== undefined),
    ({ program = '' }) => program,
  );
  const parts =
    expected.length === 0 ? [] : [`a program listens on ${short(placesOf(expected), 'and')}, where it is expected`];
  for (const [program, those] of others) {
    const verb = parts.length === 0 ? 'listens on' : 'on';
    parts.push(`its program ${program}${program === '' ? '' : ' '}${verb} ${short(placesOf(those), 'and')}`);
  }
  return short(parts, 'and', ', and ');
}

/** Such as `0.0.0.0:6379` and `10.0.0.5:7001-7003`, neighbours as one. */
function placesOf(exposed: readonly ExposedTarget[]): readonly string[] {
  const places = exposed.flatMap(({ listens, protocol, port }) =>
    listens.map((address) => ({ address, protocol, port })),
  );
  const byAddress = Map.groupBy(places, ({ address, protocol }) => `${address} ${protocol}`);
  return [...byAddress.values()].flatMap((alike) => {
    const [{ address = '', protocol = 'tcp' } = {}] = alike;
    const ports = [...new Set(alike.map(({ port }) => port))].sort((one, other) => one - other);
    return mergePorts(ports.map((port): PortRange => ({ protocol, first: port, last: port }))).map(
      ({ first, last }) =>
        formatHostPort(address, first) + (last === first ? '' : `-${last}`) + (protocol === 'udp' ? '/udp' : ''),
    );
  });
}

/** A host in a container network may have dozens of addresses. */
function short(words: readonly string[], last: 'and' | 'or', between = ` ${last} `): string {
  const more = words.length - 4;
  const shown = more > 0 ? [...words.slice(0, 4), `${more} more`] : words;
  return shown.length === 1 ? shown.join() : `${shown.slice(0, -1).join(', ')}${between}${shown.at(-1)}`;
}
