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
interface Call {
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  readonly destinationHost: string;
  readonly denied: boolean;
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
  const calls = new Map<string, Call[]>();
  for (const { host, services: mine } of members) {
    for (const source of mine) {
      for (let count = 0; count < 3; count += 1) {
        const service = names[Math.floor(random() * names.length)] ?? '';
        if (service.includes('worker') || service === source) continue;
        const to = members.find((member) => member.services.includes(service));
        const denied = service.includes('rabbit') && source.includes('web');
        if (to === undefined) continue;
        const recorder = denied ? host : to.host;
        const list = calls.get(recorder) ?? [];
        list.push({ source, sourceHost: host, service, destinationHost: denied ? '' : to.host, denied });
        calls.set(recorder, list);
      }
    }
  }
  for (const name of names.filter((one) => one.includes('web'))) {
    const to = members.find((member) => member.services.includes(name));
    if (to === undefined) continue;
    const list = calls.get(to.host) ?? [];
    list.push({ source: 'internet', sourceHost: 'host-001', service: name, destinationHost: to.host, denied: false });
    calls.set(to.host, list);
  }
  return { mesh: meshOf(network, names), services: names, members, calls };
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

function recordOf({ source, sourceHost, service, destinationHost, denied }: Call, random: () => number): FlowRecord {
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
    port: portOf(service),
    protocol: 'tcp',
    verdict: denied ? 'deny' : 'allow',
    rule: denied ? 'web-not-rabbit' : source === 'internet' ? 'builtin:ingress' : 'default',
    revision: 1,
    outcome: denied ? 'denied' : 'closed',
    bytesSent: size,
    bytesReceived: size * 3,
    detail: denied ? `rule web-not-rabbit denies ${source} to ${service}` : '',
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
    const { denied, ...pair } = call;
    const count = Math.round(each * (0.5 + random()));
    if (denied) {
      const lastDenied = { port: portOf(call.service), protocol: 'tcp', rule: 'web-not-rabbit', revision: 1 } as const;
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
      datagrams: true,
    })),
    loopDelayUs: 800,
    flowsQueued: 0,
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
