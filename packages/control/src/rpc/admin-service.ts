/** The admin service: requests checked, changes handed to the state, answers made from it. */
import { networkInterfaces } from 'node:os';
import {
  type AdminHandlers,
  actionCodec,
  breakPointCodec,
  meshFromWire,
  meshToWire,
  type pb,
  problemsToWire,
  protocolCodec,
} from '@weft/proto/wire';
import type { Logger } from 'pino';
import { createJoinToken } from '../enroll/tokens.ts';
import type { FlowWindow } from '../flows/window.ts';
import type { StateStore } from '../state/types.ts';
import type { Explain } from './explain.ts';
import { serverStream, unary } from './handler.ts';
import { agentStatuses, networkStatus, serviceStatuses, tokenStatus } from './listings.ts';
import type { EnforcementWaiter, LiveAgents } from './live.ts';
import {
  readFlowLimit,
  readName,
  readTokenNetwork,
  readTokenOrder,
  readWait,
  requireNetwork,
  requireNetworkOfAgent,
  selectNetworks,
} from './request.ts';
import { tokenAddresses } from './token-addresses.ts';
import { watchFlows } from './watch-flows.ts';

export interface AdminServiceOptions {
  readonly state: StateStore;
  readonly live: LiveAgents;
  readonly enforcement: EnforcementWaiter;
  readonly explain: Explain;
  readonly flows: FlowWindow;
  /** Of control's key, 32 bytes. */
  readonly pin: Uint8Array;
  readonly advertise: readonly string[];
  /** Where control listens; asked at each call, since a port of 0 is settled only by listening. */
  readonly listening: () => { readonly host: string; readonly port: number };
  readonly version: string;
  readonly startedMs: number;
  readonly logger: Logger;
}

export function adminHandlers(options: AdminServiceOptions): AdminHandlers {
  const { state, live, flows, logger } = options;
  const answer = unary(logger);

  return {
    apply: answer(({ request, signal }) => apply(options, request, signal)),

    getMesh: answer(({ request }) => {
      const { mesh, revision } = requireNetwork(state.current, request.network);
      return { mesh: meshToWire(mesh), revision };
    }),

    getStatus: answer(({ request }) => ({
      version: options.version,
      startedMs: options.startedMs,
      networks: selectNetworks(state.current, request.network).map((network) =>
        networkStatus(network, live, flows.dropped(network.name)),
      ),
    })),

    listServices: answer(({ request }) => ({
      services: serviceStatuses(requireNetwork(state.current, request.network), live),
    })),

    listAgents: answer(({ request }) => ({
      agents: agentStatuses(requireNetwork(state.current, request.network), live),
    })),

    revokeAgent: answer(({ request }) => {
      const agent = readName(request.agent, 'agent');
      const network = requireNetworkOfAgent(state.current, request.network, agent);
      const { agentId, host, revision } = state.revokeAgent(network.name, agent);
      logger.info({ event: 'agent-revoked', network: network.name, host, agent: agentId, revision }, 'agent revoked');
      return { agentId, revision };
    }),

    createToken: answer(({ request, authority }) => {
      const network = readTokenNetwork(state.current, request.network);
      const networkCreated = !state.current.networks.has(network);
      const { scope, lifetimeMs, addresses: requested } = readTokenOrder(request, network);
      const { advertise, pin } = options;
      const addresses = tokenAddresses({
        requested,
        advertise,
        listen: options.listening(),
        authority,
        interfaces: networkInterfaces(),
      });
      const { text, token } = createJoinToken(state, { scope, lifetimeMs, addresses, pin });
      logger.info({ event: 'token-created', network, token: token.id, networkCreated }, 'join token created');
      return { token: text, tokenId: token.id, expiresMs: token.expiresMs, networkCreated };
    }),

    listTokens: answer(({ request }) => ({
      tokens: state.tokens(requireNetwork(state.current, request.network).name).map(tokenStatus),
    })),

    revokeToken: answer(({ request }) => {
      const { hosts, revision } = state.revokeToken(readName(request.tokenId, 'token_id'));
      logger.info({ event: 'token-revoked', token: request.tokenId, hosts, revision }, 'join token revoked');
      return { hosts: [...hosts], revision };
    }),

    explain: answer(async ({ request, signal }) => {
      const network = requireNetwork(state.current, request.network);
      const { from, service, port } = request;
      const protocol = protocolCodec.fromWire(request.protocol, 'protocol');
      const { verdict, rule, revision, reason, breakPoint, steps } = await options.explain(
        network,
        { from, service, port, protocol },
        signal,
      );
      return {
        verdict: actionCodec.toWire(verdict),
        rule,
        revision,
        reason,
        breakPoint: breakPointCodec.toWire(breakPoint),
        steps: [...steps],
      };
    }),

    watchFlows: serverStream(logger, ({ request, signal, write }) => {
      const { name } = requireNetwork(state.current, request.network);
      const { denied, follow } = request;
      return watchFlows(flows, { network: name, denied, follow, limit: readFlowLimit(request.limit) }, signal, write);
    }),

    getFlowHistory: answer(() => ({})),
    listTraffic: answer(() => ({})),
    listReach: answer(() => ({})),
    listRevisions: answer(() => ({})),
    listAudit: answer(() => ({})),
  };
}

async function apply(
  { state, enforcement, logger }: AdminServiceOptions,
  request: pb.ApplyRequest,
  signal: AbortSignal,
): Promise<pb.ApplyResponse> {
  const timeoutMs = readWait(request.timeoutMs);
  const mesh = meshFromWire(request.mesh);
  const { revision, changes, warnings } = state.apply(mesh, { dryRun: request.dryRun });
  if (!request.dryRun && changes.length > 0) {
    logger.info({ event: 'mesh-applied', network: mesh.network, revision, changes: changes.length }, 'mesh applied');
  }
  const stragglers =
    request.wait && !request.dryRun ? await enforcement.waitEnforced(mesh.network, revision, timeoutMs, signal) : [];
  return {
    revision,
    changes: changes.map((change) => ({ ...change })),
    warnings: problemsToWire(warnings),
    stragglers,
  };
}
