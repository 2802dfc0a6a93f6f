/** A large network that was never there: its mesh file, its hosts, and flows between them by a seeded chance. */
import type { FlowRecord, PairTraffic, Telemetry } from '@weft/proto';
import type { CrowdMember } from './crowd.ts';

export interface CrowdPlan {
  /** For `weft apply`. */
  readonly mesh: string;
  readonly services: readonly string[];
  readonly members: readonly CrowdMember[];
  /** By the host that records them. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
}

/** Who calls whom, again and again. */
export interface Call {
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  /** Empty when it is denied at the source. */
  readonly destinationHost: string;
  readonly port: number;
  /** The rule that denies it; undefined when none does. */
  readonly rule: string | undefined;
}

/** Each call by the host that tells of it: where it gets to, or where it is stopped. */
export function callsByRecorder(calls: readonly Call[]): ReadonlyMap<string, readonly Call[]> {
  return Map.groupBy(calls, ({ destinationHost, sourceHost }) => destinationHost || sourceHost);
}

const TEAMS = ['shop', 'search', 'billing', 'mail', 'media', 'auth', 'stock', 'report', 'chat', 'fleet'];
const PARTS = ['web', 'api', 'redis', 'postgres', 'rabbit', 'worker'];

/** `services` and `hosts` in number; two of the hosts are gateways. Every tenth call is one that the policy denies. */
export function planCrowd(services: number, hosts: number, network = 'prod'): CrowdPlan {
  const random = seeded(7);
  const names = Array.from({ length: services }, (_, index) => {
    const team = TEAMS[Math.floor(index / PARTS.length) % TEAMS.length];
    const round = Math.floor(index / (PARTS.length * TEAMS.length));
    return `${team}-${PARTS[index % PARTS.length]}${round === 0 ? '' : `-${round + 1}`}`;
  });
  const members = Array.from({ length: hosts }, (_, index): CrowdMember => {
    const host = `host-${String(index + 1).padStart(3, '0')}`;
    const mine = names.filter((_name, at) => at % hosts === index || (at % 7 === 0 && (at + 1) % hosts === index));
    return { host, services: mine, ...(index < 2 ? { gatewayAddress: `192.0.2.${index + 1}:443` } : {}) };
  });
  const hostOf = (service: string): string | undefined =>
    members.find((member) => member.services.includes(service))?.host;
  const calls: Call[] = [];
  for (const { host: sourceHost, services: mine } of members) {
    for (const source of mine) {
      for (let count = 0; count < 3; count += 1) {
        const service = names[Math.floor(random() * names.length)] ?? '';
        const to = hostOf(service);
        if (service.includes('worker') || service === source || to === undefined) continue;
        const denied = service.includes('rabbit') && source.includes('web');
        const rule = denied ? 'web-not-rabbit' : undefined;
        calls.push({ source, sourceHost, service, destinationHost: denied ? '' : to, port: portOf(service), rule });
      }
    }
  }
  for (const service of names.filter((one) => one.includes('web'))) {
    const destinationHost = hostOf(service);
    if (destinationHost === undefined) continue;
    calls.push({ source: 'internet', sourceHost: 'host-001', service, destinationHost, port: 3000, rule: undefined });
  }
  return { mesh: meshOf(network, names), services: names, members, calls: callsByRecorder(calls) };
}

function meshOf(network: string, names: readonly string[]): string {
  const services = names.map((name) => {
    if (name.includes('worker')) return `  ${name}: { kind: worker }`;
    if (name.includes('web')) {
      return `  ${name}: { kind: web, ports: [3000], public: { port: 3000, hosts: [${name}.example.com] } }`;
    }
    return `  ${name}: { kind: private, ports: [${portOf(name)}] }`;
  });
  const webs = names.filter((name) => name.includes('web'));
  const rabbits = names.filter((name) => name.includes('rabbit'));
  const rule =
    webs.length === 0 || rabbits.length === 0
      ? ''
      : `policies:\n  - { name: web-not-rabbit, action: deny, from: [kind:web], to: [${rabbits.join(', ')}] }\n`;
  return `network: ${network}\nservices:\n${services.join('\n')}\n${rule}`;
}

function portOf(service: string): number {
  if (service.includes('web')) return 3000;
  if (service.includes('redis')) return 6379;
  if (service.includes('postgres')) return 5432;
  return service.includes('rabbit') ? 5672 : 8080;
}

/** Flows of a host that ended, `count` in all, over its calls in turn. */
export function flowsOf(plan: CrowdPlan, host: string, count: number, random: () => number): FlowRecord[] {
  const calls = plan.calls.get(host) ?? [];
  return Array.from({ length: calls.length === 0 ? 0 : count }, () => {
    const call = calls[Math.floor(random() * calls.length)] as Call;
    return recordOf(call, random);
  });
}

function recordOf(call: Call, random: () => number): FlowRecord {
  const { source, sourceHost, service, destinationHost, port, rule } = call;
  const denied = rule !== undefined;
  const hex = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const size = denied ? 0 : Math.floor(random() * 20_000);
  return {
    id: hex() + hex(),
    startedMs: Date.now(),
    durationMs: Math.floor(random() * 1_000),
    source,
    sourceHost,
    service,
    instance: destinationHost === '' ? '' : `${service}/0`,
    destinationHost,
    port,
    protocol: 'tcp',
    verdict: denied ? 'deny' : 'allow',
    rule: rule ?? (source === 'internet' ? 'builtin:ingress' : 'default'),
    revision: 1,
    outcome: denied ? 'denied' : 'closed',
    bytesSent: size,
    bytesReceived: size * 3,
    zone: '',
    user: '',
    unit: '',
    program: '',
    detail: denied ? `policy ${rule} denies ${source} to ${service}:${port}/tcp` : '',
  };
}

/** What moves on a host, with `flows` begun in the interval. */
export function telemetryOf(
  plan: CrowdPlan,
  host: string,
  flows: number,
  intervalMs: number,
  random: () => number,
): Telemetry {
  const calls = plan.calls.get(host) ?? [];
  const each = calls.length === 0 ? 0 : flows / calls.length;
  const pairs = calls.map((call): PairTraffic => {
    const { port, rule, ...pair } = call;
    const count = Math.round(each * (0.5 + random()));
    if (rule !== undefined) {
      const lastDenied = { port, protocol: 'tcp', rule, revision: 1 } as const;
      return { ...pair, ...NOTHING, denied: count, ...(count > 0 ? { lastDenied } : {}) };
    }
    const bytes = Math.round(count * 20_000 * random());
    return {
      ...pair,
      ...NOTHING,
      open: Math.ceil(count / 4),
      opened: count,
      bytesSent: bytes,
      bytesReceived: bytes * 3,
    };
  });
  const others = plan.members.filter((member) => member.host !== host).slice(0, 12);
  return {
    sentMs: Date.now(),
    intervalMs,
    pairs,
    pairsOmitted: 0,
    peers: others.map((other) => ({
      host: other.host,
      tunnels: 1,
      roundTripUs: 300 + Math.floor(random() * 2_000),
      bytesSent: Math.floor(Date.now() / 10),
      bytesReceived: Math.floor(Date.now() / 5),
      pathSize: 1_400,
    })),
    loopDelayUs: 800,
    flowsQueued: 0,
    recordsLost: 0,
  };
}

const NOTHING = { open: 0, opened: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };

/** Numbers from 0 to 1, the same for the same seed (Mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
