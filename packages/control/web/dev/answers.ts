/** What the made-up mesh answers to the requests that are no stream. */
import type {
  AuditView,
  ExplainView,
  FlowHistory,
  FlowPage,
  MeshView,
  ReachView,
  RevisionView,
  Role,
  StartView,
  TokenView,
} from '../../src/dashboard/api.ts';
import { filterOf, passes } from '../src/state/flow-filter.ts';
import type { MadeUpMesh } from './mesh.ts';

export interface Asked {
  readonly mesh: MadeUpMesh;
  readonly role: Role;
  readonly method: string;
  readonly url: URL;
  readonly body: unknown;
}

/** Status and body. */
export type Answer = readonly [number, unknown];

const HOUR_MS = 3_600_000;

export function answer(asked: Asked): Answer {
  const { url, method, role } = asked;
  const [, , name = '', id = ''] = url.pathname.split('/');
  const forAdmins = method !== 'GET' || name === 'tokens' || name === 'audit';
  if (forAdmins && role !== 'admin') return [403, { code: 'not-admin', message: 'Only an admin may do this.' }];
  if (name === 'flows') return [200, id === 'history' ? history(asked) : flows(asked)];
  if (name === 'reach') return [200, reach(asked)];
  if (name === 'explain') return [200, explain(asked)];
  if (name === 'mesh') return [200, meshFile(asked)];
  if (name === 'revisions') return [200, revisions()];
  if (name === 'start') return [200, start()];
  if (name === 'tokens' && method === 'GET') return [200, tokens()];
  if (name === 'tokens' && method === 'POST') {
    return [200, { token: `weft1.${'x'.repeat(60)}`, id: 'tok-9', expiresMs: Date.now() + HOUR_MS }];
  }
  if (method === 'DELETE') return [200, { revision: 13, hosts: name === 'agents' ? ['app-1'] : [] }];
  if (name === 'audit') return [200, audit(Number(url.searchParams.get('before') ?? 101))];
  return [404, { code: 'not-found', message: 'No such request.' }];
}

function flows({ mesh, url }: Asked): FlowPage {
  const query = Object.fromEntries(url.searchParams);
  const { before, id, fromMs, toMs } = query;
  const limit = Number(query.limit ?? 200);
  const found = mesh.flows
    .filter((flow) => passes(filterOf(query), flow))
    .filter(({ cursor }) => before === undefined || cursor < Number(before))
    .filter((flow) => id === undefined || flow.id === id)
    .filter(({ startedMs }) => fromMs === undefined || startedMs >= Number(fromMs))
    .filter(({ startedMs }) => toMs === undefined || startedMs < Number(toMs))
    .reverse();
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return { flows: page, ...(found.length > limit && last !== undefined ? { older: last.cursor } : {}) };
}

function history({ mesh, url }: Asked): FlowHistory {
  const query = Object.fromEntries(url.searchParams);
  const toMs = Number(query.toMs ?? Date.now());
  const fromMs = Number(query.fromMs ?? toMs - HOUR_MS);
  const bucketMs = Math.max(1_000, Math.ceil((toMs - fromMs) / Number(query.buckets ?? 60)));
  const buckets = new Map<number, FlowHistory['buckets'][number]>();
  for (const flow of mesh.flows.filter((each) => passes(filterOf(query), each))) {
    const endedMs = flow.startedMs + flow.durationMs;
    if (endedMs < fromMs || endedMs >= toMs) continue;
    const startMs = Math.floor(endedMs / bucketMs) * bucketMs;
    const old = buckets.get(startMs) ?? { startMs, allowed: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
    buckets.set(startMs, {
      startMs,
      allowed: old.allowed + (flow.outcome === 'closed' ? 1 : 0),
      denied: old.denied + (flow.verdict === 'deny' ? 1 : 0),
      failed: old.failed + (flow.outcome === 'no-instance' ? 1 : 0),
      bytesSent: old.bytesSent + flow.bytesSent,
      bytesReceived: old.bytesReceived + flow.bytesReceived,
    });
  }
  return {
    bucketMs,
    buckets: [...buckets.values()].sort((left, right) => left.startMs - right.startMs),
    kept: mesh.flows.length,
    oldestMs: mesh.flows[0]?.startedMs ?? 0,
    diskBytes: mesh.flows.length * 90,
  };
}

function reach({ mesh, url }: Asked): ReachView {
  const service = mesh.services.get(url.searchParams.get('service') ?? '');
  const ports = service?.ports ?? [];
  const callers = [...mesh.services.keys()].slice(0, 30).map((source) => ({
    source,
    ports,
    verdict: source === 'web' && ports.includes('15672') ? ('deny' as const) : ('allow' as const),
    rule: source === 'web' && ports.includes('15672') ? 'no-admin-ui' : 'default',
    reason: 'services of one network reach each other unless a rule says otherwise',
  }));
  const internet = {
    source: 'internet',
    ports,
    verdict: service?.public === undefined ? ('deny' as const) : ('allow' as const),
    rule: service?.public === undefined ? 'not-public' : 'public',
    reason: service?.public === undefined ? 'the service is not public' : 'it is the public port of a web service',
  };
  return { revision: 12, callers: [internet, ...callers] };
}

function explain({ mesh, url }: Asked): ExplainView {
  const from = url.searchParams.get('from') ?? '';
  const to = url.searchParams.get('to') ?? '';
  const [name = '', port = ''] = to.split(':');
  const service = mesh.services.get(name);
  const denied = from === 'web' && port === '15672';
  const breakPoint = service === undefined ? 'no-such-name' : denied ? 'denied' : 'none';
  return {
    verdict: denied || service === undefined ? 'deny' : 'allow',
    rule: denied ? 'no-admin-ui' : service === undefined ? 'no-such-name' : 'default',
    revision: 12,
    reason: denied
      ? 'rule no-admin-ui denies it'
      : service === undefined
        ? `no service ${name}`
        : 'the default is allow',
    breakPoint,
    refusedHosts: [],
    steps: [
      `${from} is a service of this network`,
      service === undefined ? `no service is called ${name}` : `${name} is ${service.kind}, ${service.vip}`,
      denied ? 'rule no-admin-ui denies port 15672' : 'no rule denies it',
      `${service?.instances.filter(({ healthy }) => healthy).length ?? 0} healthy instances`,
    ],
  };
}

function meshFile({ mesh, url }: Asked): MeshView {
  const revision = Number(url.searchParams.get('revision') ?? 12);
  const lines = [...mesh.services.values()]
    .slice(0, Math.max(1, mesh.services.size - (12 - revision)))
    .map(({ name, kind, ports }) => `  ${name}: { kind: ${kind}, ports: [${ports.join(', ')}] }`);
  return { revision, yaml: ['network: prod', 'services:', ...lines, 'default: allow', ''].join('\n') };
}

function revisions(): readonly RevisionView[] {
  return Array.from({ length: 12 }, (_, index) => ({
    revision: 12 - index,
    appliedMs: Date.now() - index * HOUR_MS,
    changes: [{ operation: 'add' as const, subject: `service service-${299 - index}`, detail: 'private, port 4000' }],
  }));
}

function start(): StartView {
  return {
    networks: [
      {
        name: 'prod',
        service: 'web',
        commands: [
          {
            title: 'Tell control of a network with one service',
            command: "printf 'network: prod\\n' | weft apply -f -",
          },
          { title: 'Make a token for the host', command: 'weft token create --network prod --services web' },
          { title: 'Start the agent', command: 'weft up --join TOKEN' },
        ],
      },
    ],
  };
}

function tokens(): readonly TokenView[] {
  return Array.from({ length: 4 }, (_, index) => ({
    id: `tok-${index + 1}`,
    services: index === 0 ? [] : ['redis', 'web'],
    host: index === 2 ? 'data-1' : '',
    roles: index === 0 ? ['gateway'] : [],
    reusable: index < 2,
    ephemeral: index === 1,
    createdMs: Date.now() - index * HOUR_MS,
    expiresMs: Date.now() + (2 - index) * HOUR_MS,
    uses: index * 3,
    revoked: index === 3,
  }));
}

function audit(before: number): readonly AuditView[] {
  return Array.from({ length: Math.min(200, before - 1) }, (_, index) => ({
    sequence: before - 1 - index,
    atMs: Date.now() - (101 - (before - 1 - index)) * 60_000,
    actor: index % 3 === 0 ? 'agent data-1' : 'admin 10.0.0.7',
    action: index % 3 === 0 ? 'agent-join' : 'apply',
    network: 'prod',
    subject: index % 3 === 0 ? 'agent data-1' : 'mesh',
    revision: index % 12,
    detail: '2 services added, 1 changed',
  }));
}
