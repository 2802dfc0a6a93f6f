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
import type { Problems } from '../words/problems.ts';
import type { TargetAddress } from './addresses.ts';
import type { ListenerTable } from './listener-table.ts';

/** A target that listens where others can come from. */
export interface ExposedTarget {
  readonly service: string;
  readonly protocol: Protocol;
  /** Where the program listens, which may be another than the declared one. */
  readonly port: number;
  /** As the kernel's table has them: wildcards, or addresses of this host. */
  readonly listens: readonly string[];
  /** Whether what listens on `::` takes IPv6 alone. */
  readonly sixOnly: boolean;
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

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
  readonly #interfaces: () => Interfaces | undefined;
  #standing: ReadonlySet<string> = new Set();

  constructor(problems: Problems, interfaces: () => Interfaces | undefined = hostInterfaces) {
    this.#problems = problems;
    this.#interfaces = interfaces;
  }

  /** All there are now, in the order of their ports. To be called again when nothing changed of them: the host's addresses may have. */
  tell(targets: readonly ExposedTarget[]): void {
    const interfaces = this.#interfaces();
    if (interfaces === undefined) return;
    const standing = new Set<string>();
    for (const [service, exposed] of Map.groupBy(targets, (target) => target.service)) {
      const found = [...new Set(exposed.flatMap((target) => reachedAt(target, interfaces)))];
      if (found.length === 0) continue;
      standing.add(service);
      const message =
        `${service} may be reached past Weft: a program listens on ${short(placesOf(exposed), 'and')}, where it is expected, so who ` +
        `reaches ${short(found, 'or')} needs no rule; let it listen on 127.0.0.1 alone, or have a firewall close the port`;
      this.#problems.raise({ code: EXPOSED_PROBLEM, subject: service, message });
    }
    for (const before of this.#standing) if (!standing.has(before)) this.#problems.clear(EXPOSED_PROBLEM, before);
    this.#standing = standing;
  }
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
function short(words: readonly string[], last: 'and' | 'or'): string {
  const more = words.length - 4;
  const shown = more > 0 ? [...words.slice(0, 4), `${more} more`] : words;
  return shown.length === 1 ? shown.join() : `${shown.slice(0, -1).join(', ')} ${last} ${shown.at(-1)}`;
}
