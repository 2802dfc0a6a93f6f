/** Ports as they are written, counted and compared. */
import { FormatError } from './errors.ts';
import {
  type PortRange,
  PROTOCOLS,
  type Protocol,
  type ReportedProtocol,
  type RulePorts,
  type Service,
} from './mesh.ts';
import { quote } from './problem.ts';
import type { InstanceReport } from './report.ts';

/** Most single ports that one service may declare: each costs a listener on every agent. */
export const MAX_SERVICE_PORTS = 1024;

/** Most single ports beside the declared ones that one host publishes of a service, and that are published of it in all. */
export const MAX_OPENED_PORTS = 256;

/** Least port that is published without being declared: below it listen programs of every host that no service of the network is, such as ssh. */
export const LEAST_OPENED_PORT = 1024;

/** From which the kernel takes ports for who calls (`net.ipv4.ip_local_port_range`) in a sandbox: a UDP socket there is as likely one that calls, and nobody can tell. */
export const CALLING_PORTS: PortRange = { protocol: 'udp', first: 32_768, last: 60_999 };

/** What is never published without being declared. */
const UNPUBLISHED: readonly PortRange[] = [
  ...PROTOCOLS.map((protocol) => ({ protocol, first: 1, last: LEAST_OPENED_PORT - 1 })),
  CALLING_PORTS,
];

/** What stands among a service's ports in the mesh file where its programs' own are published. */
export const AUTO_PORTS = 'auto';

const ANY_PORT: readonly PortRange[] = PROTOCOLS.map((protocol) => ({ protocol, first: 1, last: 65_535 }));

const expected = 'expected PORT, PORT/tcp, PORT/udp, LO-HI/tcp or LO-HI/udp';

/** Reads `6379`, `8125/udp`, `5000-5010/tcp`; without a transport it is TCP. Throws FormatError `bad-port`. */
export function parsePort(value: string | number): PortRange {
  const { protocol, first, last } = parseRulePorts(value);
  return { protocol: protocol === 'any' ? 'tcp' : protocol, first, last };
}

/** The same of a rule, where a port without a transport is that of both. */
export function parseRulePorts(value: string | number): RulePorts {
  const text = String(value);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) throw new FormatError('bad-port', `${quote(text)} is not a port; ${expected}`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (first < 1 || last > 65_535 || first > 65_535) {
    throw new FormatError('bad-port', `${quote(text)} is out of range; expected ports from 1 to 65535`);
  }
  if (last < first) throw new FormatError('bad-port', `${quote(text)} ends before it starts; ${expected}`);
  const [, , , transport] = match;
  return { protocol: transport === 'tcp' || transport === 'udp' ? transport : 'any', first, last };
}

/** `6379`, `8125/udp`, `5000-5010/tcp`: TCP is written only on ranges, as the mesh file does. */
export function formatPortRange(range: Omit<PortRange, 'protocol'> & { readonly protocol: ReportedProtocol }): string {
  if (range.first !== range.last) return `${range.first}-${range.last}/${range.protocol}`;
  return range.protocol === 'tcp' ? String(range.first) : `${range.first}/${range.protocol}`;
}

/** As a rule writes them: without a transport where it is about both. */
export function formatRulePorts({ protocol, first, last }: RulePorts): string {
  const ports = first === last ? String(first) : `${first}-${last}`;
  return protocol === 'any' ? ports : `${ports}/${protocol}`;
}

/** Whether any of the ranges holds the port. */
export function includesPort(ranges: readonly RulePorts[], port: number, protocol: Protocol): boolean {
  for (const range of ranges) {
    if ((range.protocol === protocol || range.protocol === 'any') && port >= range.first && port <= range.last)
      return true;
  }
  return false;
}

/** Whether two ranges share a port of one transport. */
export function overlaps(a: PortRange, b: RulePorts): boolean {
  return (b.protocol === 'any' || a.protocol === b.protocol) && a.first <= b.last && b.first <= a.last;
}

/** How many single ports the ranges hold. */
export function countPorts(ranges: readonly PortRange[]): number {
  return ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
}

/** Every single port of the ranges, in order. */
export function* eachPort(ranges: readonly PortRange[]): Generator<{ port: number; protocol: Protocol }> {
  for (const range of ranges) {
    for (let port = range.first; port <= range.last; port++) yield { port, protocol: range.protocol };
  }
}

/** In the order of their transports, then by port; without what another one holds already. */
export function unitedPorts(ranges: readonly PortRange[]): PortRange[] {
  const sorted = [...ranges].sort(
    (one, other) => PROTOCOLS.indexOf(one.protocol) - PROTOCOLS.indexOf(other.protocol) || one.first - other.first,
  );
  const united: PortRange[] = [];
  for (const range of sorted) {
    const before = united.at(-1);
    if (before?.protocol !== range.protocol || before.last + 1 < range.first) united.push(range);
    else if (before.last < range.last) united[united.length - 1] = { ...before, last: range.last };
  }
  return united;
}

/** The first so many single ports of the ranges. */
export function firstPorts(ranges: readonly PortRange[], most: number): PortRange[] {
  let room = most;
  return ranges.flatMap((range) => {
    const last = Math.min(range.last, range.first + room - 1);
    room -= Math.max(0, last - range.first + 1);
    return last < range.first ? [] : [{ ...range, last }];
  });
}

/** What of the ranges none of the others holds, in order. */
function portsWithout(ranges: readonly PortRange[], others: readonly PortRange[]): PortRange[] {
  const taken = unitedPorts(others);
  return unitedPorts(ranges).flatMap((range) => {
    const left: PortRange[] = [];
    let { first } = range;
    for (const other of taken) {
      if (!overlaps(other, { ...range, first })) continue;
      if (other.first > first) left.push({ ...range, first, last: other.first - 1 });
      first = other.last + 1;
    }
    return first > range.last ? left : [...left, { ...range, first }];
  });
}

/**
 * Of an instance, with what is published of the ports that its agent says its programs have opened: one rule for agents and control. Agents tell of
 * more, and may not have heard yet that the mesh says `auto` no more. The same value where nothing is said to be open.
 */
export function withPublished<Instance extends Pick<InstanceReport, 'opened'>>(
  instance: Instance,
  service: Pick<Service, 'ports' | 'autoPorts'> | undefined,
): Instance {
  const { opened, ...rest } = instance;
  if (opened === undefined) return instance;
  const published =
    service?.autoPorts === true
      ? firstPorts(portsWithout(opened, [...UNPUBLISHED, ...service.ports]), MAX_OPENED_PORTS)
      : [];
  return { ...(rest as Instance), ...(published.length > 0 && { opened: published }) };
}

/** The first so many single ports of all, a port of each in turn: whoever has many leaves the others theirs. */
export function sharedPorts(all: readonly (readonly PortRange[])[], most: number): PortRange[] {
  const taken = new Set<string>();
  const shared: PortRange[] = [];
  const turns = all.map((ranges) => eachPort(ranges));
  while (turns.length > 0 && shared.length < most) {
    for (const [at, turn] of [...turns.entries()].reverse()) {
      const next = firstNew(turn, taken);
      if (next === undefined) turns.splice(at, 1);
      else if (shared.length < most) shared.push({ protocol: next.protocol, first: next.port, last: next.port });
    }
  }
  return unitedPorts(shared);
}

/** Undefined where none is left that nobody has taken. */
function firstNew(
  ports: ReturnType<typeof eachPort>,
  taken: Set<string>,
): { port: number; protocol: Protocol } | undefined {
  for (let next = ports.next(); next.done !== true; next = ports.next()) {
    const key = `${next.value.protocol} ${next.value.port}`;
    if (taken.has(key)) continue;
    taken.add(key);
    return next.value;
  }
  return undefined;
}

/** Every port that a rule may be about: the declared ones, or any where a program's own are published. */
export function callablePorts({ ports, autoPorts }: Pick<Service, 'ports' | 'autoPorts'>): readonly PortRange[] {
  return autoPorts === true ? ANY_PORT : ports;
}

/** Declared ones, and those that are published beside them now. */
export function portsNow(declared: readonly PortRange[], opened: readonly PortRange[] = []): readonly PortRange[] {
  return opened.length === 0 ? declared : [...declared, ...opened];
}

/** As the mesh file writes them. */
export function portsInWords({ ports, autoPorts }: Pick<Service, 'ports' | 'autoPorts'>): string[] {
  return [...ports.map(formatPortRange), ...(autoPorts === true ? [AUTO_PORTS] : [])];
}

/** Whether a program of the instance listens on the port, by what its agent has told. */
export function instanceListens(
  service: Pick<Service, 'ports' | 'autoPorts'> | undefined,
  { notListening, opened = [] }: Pick<InstanceReport, 'notListening' | 'opened'>,
  port: number,
  protocol: Protocol,
): boolean {
  return service?.autoPorts !== true || includesPort(service.ports, port, protocol)
    ? !includesPort(notListening, port, protocol)
    : includesPort(opened, port, protocol);
}

/** Joins neighbouring ports into ranges; they come in order. */
export function mergePorts(ports: readonly PortRange[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (const range of ports) {
    const last = ranges.at(-1);
    if (last?.protocol === range.protocol && last.last + 1 === range.first) {
      ranges[ranges.length - 1] = { ...last, last: range.last };
    } else {
      ranges.push(range);
    }
  }
  return ranges;
}
