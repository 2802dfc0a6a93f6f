/** The API's calls, over the made-up mesh. */
import type { Role } from '../../src/dashboard/api.ts';
import { type Asked, type CallName, pathOf, type Told } from '../src/state/calls.ts';
import type { Answer } from './answers.ts';
import type { MadeUpMesh } from './mesh.ts';

type Calls = { readonly [Name in CallName]?: (request: Asked<Name>, mesh: MadeUpMesh) => Told<Name> };

const HOUR_MS = 3_600_000;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

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
  getMesh: ({ revision = 12 }, mesh) => {
    const lines = [...mesh.services.values()]
      .slice(0, Math.max(1, mesh.services.size - (12 - Number(revision))))
      .map(({ name, kind, ports }) => `  ${name}: { kind: ${kind}, ports: [${ports.join(', ')}] }`);
    return { revision: `${revision}`, file: ['network: prod', 'services:', ...lines, 'default: allow', ''].join('\n') };
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

/** Undefined for a path that is no call's. */
export function answerCall(path: string, body: unknown, mesh: MadeUpMesh, role: Role): Answer | undefined {
  const name = (Object.keys(CALLS) as CallName[]).find((known) => path === `/${pathOf(known)}`);
  if (name === undefined) return undefined;
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
