/** The admin service: requests checked, changes handed to the state, answers made from it. */
import { CAPABILITY, defined, problem } from '@weft/proto';
import {
  actionCodec,
  breakPointCodec,
  callerFromWire,
  durationFromWire,
  meshToWire,
  type pb,
  protocolCodec,
  rolesFromWire,
  ruleToWire,
  timestampToWire,
} from '@weft/proto/wire';
import { meshToYaml } from '@weft/proto/yaml';
import type { ChangeMeshOptions } from '../admin/change-mesh.ts';
import { type CreateTokenOptions, createToken, replaceToken } from '../admin/create-token.ts';
import { RequestError } from '../admin/errors.ts';
import type { Explain, Explanation } from '../admin/explain.ts';
import type { OpenFlowsWalk } from '../admin/open-flows.ts';
import type { ReachOf } from '../admin/reach.ts';
import { renameAgent } from '../admin/rename.ts';
import { requireNetwork, selectNetworks } from '../admin/request.ts';
import { removeNetwork, revokeAgent, revokeToken, takenUp } from '../admin/revoke.ts';
import { RolePlaces } from '../admin/role-places.ts';
import type { Actor, AuditLog } from '../audit/types.ts';
import { FlowsError } from '../flows/errors.ts';
import type { FlowWindow } from '../flows/window.ts';
import { StateError } from '../state/errors.ts';
import type { DiskWatch } from '../store/disk-watch.ts';
import type { Traffic } from '../traffic/types.ts';
import type { AdminCalls } from './calls.ts';
import { countsToWire, listFlows, readFlowCount, readFlowPage, readFlowWatch, watchFlows } from './flow-request.ts';
import { listAudit, listRevisions, olderDataStatus, originToWire } from './history-listings.ts';
import { listAgents, listReach, listServices, listTokens, listTraffic, networkStatus } from './listings.ts';
import { meshChanges } from './mesh-changes.ts';
import { NetworkWatch } from './network-watch.ts';
import { listOpenFlows } from './open-flow-pages.ts';

export interface AdminServiceOptions extends CreateTokenOptions, ChangeMeshOptions {
  readonly explain: Explain;
  readonly reach: ReachOf;
  readonly audit: AuditLog;
  readonly disk: Pick<DiskWatch, 'problems'>;
  readonly flows: FlowWindow;
  readonly openFlows: Pick<OpenFlowsWalk, 'page'>;
  readonly traffic: Pick<Traffic, 'list' | 'omitted'>;
  readonly version: string;
  readonly startedMs: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export function adminCalls(options: AdminServiceOptions): AdminCalls {
  const { state, live, flows } = options;
  const watch = new NetworkWatch(options);
  const flowWatches = new RolePlaces();
  const flowQuestions = new RolePlaces();
  const asked = <T>({ role }: Actor, question: () => Promise<T>): Promise<T> => {
    const refused = (most: number) =>
      new FlowsError('busy', `more than ${most} questions about flows with the ${role} token at once; try again`);
    return flowQuestions.within(role, refused, question);
  };

  return {
    ...meshChanges(options),

    deleteNetwork: ({ request, actor }) => removeNetwork(options, request, actor),

    getMesh: async ({ request }) => {
      const network = requireNetwork(state.current, request.network);
      const { mesh, revision } = request.revision === 0 ? network : await state.meshAt(network.name, request.revision);
      return { revision, ...(request.asFile ? { file: meshToYaml(mesh) } : { mesh: meshToWire(mesh) }) };
    },

    getStatus: ({ request }) => ({
      version: options.version,
      startTime: timestampToWire(options.startedMs),
      time: timestampToWire(options.now()),
      ...defined({ olderData: state.olderData && olderDataStatus(state.olderData) }),
      acceptsOlderData: state.acceptsOlderData,
      capability: CAPABILITY,
      problems: options.disk.problems.map(({ code, message, sinceMs }) => {
        return { code, message, sinceTime: timestampToWire(sinceMs) };
      }),
      networks: selectNetworks(state.current, request.network).map((network) =>
        networkStatus(network, live, flows.dropped(network.name)),
      ),
    }),

    listServices: ({ request }) => listServices(requireNetwork(state.current, request.network), live, request),

    listAgents: ({ request }) =>
      listAgents(requireNetwork(state.current, request.network), live, request, options.now()),

    watchNetwork: ({ request, actor, signal, write }) => {
      const { name } = requireNetwork(state.current, request.network);
      return watch.watch(name, actor.role, request.resumeToken, signal, write);
    },

    renameAgent: async ({ request, actor, signal }) => {
      const { network, ...renamed } = await renameAgent(options, request, actor);
      return { ...renamed, ...(await takenUp(options, network, renamed.revision, signal)) };
    },

    revokeAgent: async ({ request, actor, signal }) => {
      const { network, ...revoked } = await revokeAgent(options, request, actor);
      return { ...revoked, ...(await takenUp(options, network, revoked.revision, signal)) };
    },

    createToken: async ({ request, actor, authority }) => {
      const by = { actor, authority };
      const { network, services, host, reusable, ephemeral, addresses, newNetwork } = request;
      const ttlSeconds = readTtl(request.ttl);
      const roles = rolesFromWire(request.roles, 'roles');
      const order = { network, services, host, roles, reusable, ephemeral, ttlSeconds, addresses, newNetwork };
      const { text, token, warnings } = await createToken(options, order, by);
      const { id: tokenId, expiresMs, networkCreated } = token;
      return { token: text, tokenId, expireTime: timestampToWire(expiresMs), networkCreated, warnings };
    },

    listTokens: ({ request }) => {
      const { name } = requireNetwork(state.current, request.network);
      return listTokens(state.tokens(name), name, request, options.now());
    },

    replaceToken: async ({ request, actor, authority, signal }) => {
      const { tokenId, addresses } = request;
      const order = { tokenId, addresses, ttlSeconds: readTtl(request.ttl) };
      const { text, token, ...replaced } = await replaceToken(options, order, { actor, authority });
      const taken = await takenUp(options, token.network, replaced.revision, signal);
      return { ...replaced, ...taken, token: text, tokenId: token.id, expireTime: timestampToWire(token.expiresMs) };
    },

    revokeToken: async ({ request, actor, signal }) => {
      const revoked = await revokeToken(options, request.tokenId, actor);
      if (revoked.already) return { ...revoked, revision: 0, stragglers: [], notKept: [] };
      const { network = '' } = state.token(request.tokenId) ?? {};
      const taken = await takenUp(options, network, revoked.revision, signal);
      return { ...revoked, ...taken };
    },

    explain: async ({ request, actor, signal }) => {
      const network = requireNetwork(state.current, request.network);
      const { service, port } = request;
      const from = callerFromWire(request.from, 'from');
      const protocol = protocolCodec.fromWire(request.protocol, 'protocol');
      const found = await options.explain(network, { from, service, port, protocol }, signal);
      return explanationToWire(found, actor);
    },

    listFlows: ({ request, actor, signal }) => {
      const { name } = requireNetwork(state.current, request.network);
      const query = readFlowPage(name, request);
      return asked(actor, () => listFlows(flows, name, query, signal));
    },

    watchFlows: ({ request, actor, signal, write }) => {
      const { name } = requireNetwork(state.current, request.network);
      const query = readFlowWatch(name, request);
      const isThere = () => state.current.networks.has(name);
      const { role } = actor;
      const refused = (most: number) =>
        new StateError(
          'limit',
          `flows are watched ${most} times at once with the ${role} token, and no more; end one first`,
        );
      return flowWatches.within(role, refused, () => watchFlows(flows, name, query, isThere, signal, write));
    },

    listOpenFlows: ({ request, actor: { role } }) =>
      listOpenFlows(options.openFlows, requireNetwork(state.current, request.network), request, options.now(), role),

    countFlows: async ({ request, actor, signal }) => {
      const { name } = requireNetwork(state.current, request.network);
      const query = readFlowCount(request);
      return countsToWire(await asked(actor, () => flows.history(name, query, signal)));
    },

    listTraffic: ({ request }) =>
      listTraffic(options.traffic, requireNetwork(state.current, request.network).name, request),

    listReach: ({ request, signal }) =>
      listReach(options.reach, requireNetwork(state.current, request.network), request, signal),

    listRevisions: ({ request }) => listRevisions(state, requireNetwork(state.current, request.network).name, request),

    listAudit: ({ request }) => {
      const network = request.network === '' ? '' : requireNetwork(state.current, request.network).name;
      return listAudit(options.audit, network, request);
    },
  };
}

/** Whole seconds; 0 where none is said. */
function readTtl(ttl: Parameters<typeof durationFromWire>[0]): number {
  const ttlMs = durationFromWire(ttl, 'ttl');
  if (ttlMs !== undefined && ttlMs <= 0) throw new RequestError([problem('ttl', 'expected more than 0 s')]);
  return Math.ceil((ttlMs ?? 0) / 1_000);
}

const MOST_DENIES = 100;

function explanationToWire(
  { decidingRule, remedy, origins, ...found }: Explanation,
  { role }: Actor,
): pb.Outgoing<pb.ExplainResponse> {
  const origin = (rule: string) => originToWire(rule, origins.get(rule), role === 'admin');
  const denies = remedy?.denies.slice(0, MOST_DENIES) ?? [];
  return {
    ...found,
    verdict: actionCodec.toWire(found.verdict),
    breakPoint: breakPointCodec.toWire(found.breakPoint),
    ...defined({
      decidingRule: decidingRule && ruleToWire(decidingRule),
      decidingRuleOrigin: decidingRule && origin(decidingRule.name),
      remedy: remedy && {
        denies,
        deniesCount: remedy.denies.length,
        deniesOrigins: denies.map(origin),
        ...defined({ rule: remedy.rule && ruleToWire(remedy.rule) }),
      },
    }),
  };
}
