/** The API's calls, over the made-up mesh. */
import { parsePort } from '@weft/proto/model';
import type { Role } from '../../src/dashboard/api.ts';
import { type Asked, type CallName, pathOf, sourceOf, type Told } from '../src/state/calls.ts';
import { countFlows, listFlows } from './flows.ts';
import type { MadeUpMesh } from './mesh.ts';

/** Status and body. */
export type Answer = readonly [number, unknown];

type Calls = { readonly [Name in CallName]?: (request: Asked<Name>, mesh: MadeUpMesh) => Told<Name> };

const HOUR_MS = 3_600_000;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

const TCP = { protocol: 'PROTOCOL_TCP' } as const;
const ALLOWED = { verdict: 'ACTION_ALLOW', rule: 'default' } as const;
const DENIED = { verdict: 'ACTION_DENY', rule: 'no-admin-ui' } as const;
const PUBLIC = { verdict: 'ACTION_ALLOW', rule: 'public', reason: 'it is the public port of a web service' } as const;
const NOT_PUBLIC = { verdict: 'ACTION_DENY', rule: 'not-public', reason: 'the service is not public' } as const;

/** For admins alone. */
const ACTS: Calls = {
  listTokens: () => ({
    tokens: Array.from({ length: 4 }, (_, index) => ({
      tokenId: `tok-${index + 1}`,
      services: index === 0 ? [] : ['redis', 'web'],
      host: index === 2 ? 'data-1' : '',
      roles: index === 0 ? ['AGENT_ROLE_GATEWAY' as const] : [],
      reusable: index < 2,
      ephemeral: index === 1,
      createTime: ago(index * HOUR_MS),
      expireTime: ago((index - 2) * HOUR_MS),
      uses: index * 3,
      revoked: index === 3,
    })),
  }),
  createToken: () => ({ token: `weft1.${'x'.repeat(60)}`, tokenId: 'tok-9', expireTime: ago(-HOUR_MS) }),
  revokeToken: () => ({ revision: '13', notKept: ['app-2'] }),
  revokeAgent: () => ({ revision: '13', hosts: ['app-1'] }),
  listAudit: ({ pageToken = '' }) => {
    const newest = Number(pageToken || 300);
    return {
      entries: Array.from({ length: Math.min(200, newest) }, (_, index) => auditEntry(newest - index)),
      nextPageToken: newest > 200 ? `${newest - 200}` : '',
    };
  },
};

const CALLS: Calls = {
  ...ACTS,
  listFlows,
  countFlows,
  getMesh: ({ revision = 12 }, mesh) => {
    const lines = [...mesh.services.values()]
      .slice(0, Math.max(1, mesh.services.size - (12 - Number(revision))))
      .map(({ name, kind, ports }) => `  ${name}: { kind: ${kind}, ports: [${ports.join(', ')}] }`);
    return { revision: `${revision}`, file: ['network: prod', 'services:', ...lines, 'default: allow', ''].join('\n') };
  },
  listReach: ({ service: name = '' }, { services }) => {
    const service = services.get(name);
    const ports = (service?.ports ?? []).map(parsePort).map(({ first, last }) => ({ first, last, ...TCP }));
    const denied = service?.ports.includes('15672') === true;
    const callers = [...services.keys()].slice(0, 30).map((source) => ({
      caller: { service: source },
      ports,
      ...(source === 'web' && denied ? DENIED : ALLOWED),
      reason: 'services of one network reach each other unless a rule says otherwise',
    }));
    const internet = service?.public === undefined ? NOT_PUBLIC : PUBLIC;
    return { revision: '12', reach: [{ caller: { internet: {} }, ports, ...internet }, ...callers] };
  },
  explain: ({ from, service: name = '', port = 0 }, { services }) => {
    const service = services.get(name);
    const steps = [
      `${sourceOf(from)} is a service of this network`,
      service === undefined ? `no service is called ${name}` : `${name} is ${service.kind}, ${service.vip}`,
      `${service?.instances.filter(({ healthy }) => healthy).length ?? 0} healthy instances`,
    ];
    const told = { revision: '12', steps };
    if (service === undefined) {
      return {
        ...told,
        ...DENIED,
        rule: 'no-such-name',
        reason: `no service ${name}`,
        breakPoint: 'BREAK_POINT_NO_SUCH_NAME',
      };
    }
    return from?.service === 'web' && port === 15_672
      ? { ...told, ...DENIED, reason: 'rule no-admin-ui denies it', breakPoint: 'BREAK_POINT_DENIED' }
      : { ...told, ...ALLOWED, reason: 'the default is allow', breakPoint: 'BREAK_POINT_NONE' };
  },
  listRevisions: () => ({
    revisions: Array.from({ length: 12 }, (_, index) => ({
      revision: `${12 - index}`,
      applyTime: ago(index * HOUR_MS),
      changes: [
        { operation: 'CHANGE_OPERATION_ADD', subject: `service service-${299 - index}`, detail: 'private, port 4000' },
      ],
    })),
  }),
};

export function answerCall(path: string, body: unknown, mesh: MadeUpMesh, role: Role): Answer {
  const name = (Object.keys(CALLS) as CallName[]).find((known) => path === `/${pathOf(known)}`);
  if (name === undefined) return [404, { code: 'unimplemented', message: 'there is no such method' }];
  if (role !== 'admin' && name in ACTS) {
    return [403, { code: 'permission_denied', message: 'this call needs the admin token' }];
  }
  const call = CALLS[name] as (request: unknown, mesh: MadeUpMesh) => unknown;
  return [200, call(body, mesh)];
}

function auditEntry(sequence: number) {
  const joined = sequence % 3 === 0;
  return {
    sequence: `${sequence}`,
    time: ago((301 - sequence) * 60_000),
    actor: joined
      ? { kind: 'ACTOR_KIND_AGENT' as const, name: 'data-1' }
      : { kind: 'ACTOR_KIND_ADMIN' as const, name: '10.0.0.7' },
    action: joined ? 'agent-join' : 'apply',
    network: 'prod',
    subject: joined ? 'agent data-1' : 'mesh',
    revision: `${sequence % 12}`,
    detail: '2 services added, 1 changed',
  };
}
