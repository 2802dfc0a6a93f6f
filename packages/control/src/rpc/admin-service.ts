/** The admin service: requests checked, changes handed to the state, answers made from it. */
import { CAPABILITY, defined } from '@weft/proto';
import {
  actionCodec,
  breakPointCodec,
  callerFromWire,
  meshToWire,
  type pb,
  protocolCodec,
  ruleToWire,
  timestampToWire,
} from '@weft/proto/wire';
import { meshToYaml } from '@weft/proto/yaml';
import type { ChangeMeshOptions } from '../admin/change-mesh.ts';
import { type CreateTokenOptions, createToken, replaceToken } from '../admin/create-token.ts';
import { readAll } from '../admin/errors.ts';
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
import type { NetworkState } from '../state/types.ts';
import type { DiskWatch } from '../store/disk-watch.ts';
import type { Traffic } from '../traffic/types.ts';
import type { AdminCalls } from './calls.ts';
import {
  countsToWire,
  listFlows,
  readFlowCount,
  readFlowPage,
  readFlowWatch,
  requireFilter,
  watchFlows,
} from './flow-request.ts';
import { listAudit, listRevisions, olderDataStatus, originToWire } from './history-listings.ts';
import { listAgents, listReach, listServices, listTokens, listTraffic, networkStatus, readView } from './listings.ts';
import { meshChanges } from './mesh-changes.ts';
import { NetworkWatch } from './network-watch.ts';
import { listOpenFlows, readOpenFlowFilter } from './open-flow-pages.ts';
import { type PageRequest, requireSize } from './page.ts';

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
  /** `check` reads what else is asked, as far as it is the same for every network. */
  const networkOf = ({ network }: { readonly network: string }, check = (): unknown => undefined): NetworkState =>
    readAll({ network: () => requireNetwork(state.current, network), check }).network;
  const listedOf = (
    request: PageRequest & { readonly network: string },
    check = (): unknown => undefined,
  ): NetworkState => networkOf(request, () => readAll({ check, size: () => requireSize(request) }));

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

    listServices: ({ request }) => listServices(listedOf(request), live, request),

    listAgents: ({ request }) =>
      listAgents(
        listedOf(request, () => readView(request.view)),
        live,
        request,
        options.now(),
      ),

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
      const { text, token, warnings } = await createToken(options, request, by);
      const { id: tokenId, expiresMs, networkCreated } = token;
      return { token: text, tokenId, expireTime: timestampToWire(expiresMs), networkCreated, warnings };
    },

    listTokens: ({ request }) => {
      const { name } = listedOf(request);
      return listTokens(state.tokens(name), name, request, options.now());
    },

    replaceToken: async ({ request, actor, authority, signal }) => {
      const { text, token, ...replaced } = await replaceToken(options, request, { actor, authority });
      const taken = await takenUp(options, token.network, replaced.revision, signal);
      return { ...replaced, ...taken, token: text, tokenId: token.id, expireTime: timestampToWire(token.expiresMs) };
    },

    revokeToken: async ({ request, actor, signal }) => {
      const revoked = await revokeToken(options, request.tokenId, actor);
      if (revoked.already) return { ...revoked, revision: 0, stragglers: [], notKept: [] };
      const { network = '' } = state.token(request.tokenId) ?? {};
      const taken = await takenUp(options, network, revoked.revision, signal, revoked.narrowed);
      return { ...revoked, ...taken };
    },

    explain: async ({ request, actor, signal }) => {
      const { service, port } = request;
      const { network, from, protocol } = readAll({
        network: () => networkOf(request),
        from: () => callerFromWire(request.from, 'from'),
        protocol: () => protocolCodec.fromWire(request.protocol, 'protocol'),
      });
      const found = await options.explain(network, { from, service, port, protocol }, signal);
      return explanationToWire(found, actor);
    },

    listFlows: ({ request, actor, signal }) => {
      const { name } = listedOf(request, () => requireFilter(request.filter));
      const query = readFlowPage(name, request);
      return asked(actor, () => listFlows(flows, name, query, signal));
    },

    watchFlows: ({ request, actor, signal, write }) => {
      const { name } = networkOf(request, () => requireFilter(request.filter));
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

    listOpenFlows: ({ request, actor: { role }, signal }) => {
      const network = listedOf(request, () => readOpenFlowFilter(request.filter));
      return listOpenFlows(options.openFlows, network, request, options.now(), role, signal);
    },

    countFlows: async ({ request, actor, signal }) => {
      const { network, query } = readAll({
        network: () => networkOf(request),
        query: () => readFlowCount(request),
      });
      return countsToWire(await asked(actor, () => flows.history(network.name, query, signal)));
    },

    listTraffic: ({ request }) => listTraffic(options.traffic, listedOf(request).name, request),

    listReach: ({ request, signal }) => listReach(options.reach, listedOf(request), request, signal),

    listRevisions: ({ request }) => listRevisions(state, listedOf(request).name, request),

    listAudit: ({ request }) => {
      const network = request.network === '' ? '' : listedOf(request).name;
      return listAudit(options.audit, network, request);
    },
  };
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
