/** The ends of memberships and tokens, for who may order them, by whatever way the order came. */
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import type { StateStore } from '../state/types.ts';
import { readName, requireNetworkOfAgent } from './request.ts';

export interface RevokeOptions {
  readonly state: StateStore;
  readonly logger: Logger;
}

export interface AgentName {
  /** Empty for the only one there is, or where `agent` is an identifier. */
  readonly network: string;
  /** A host name or an identifier. */
  readonly agent: string;
}

/** Throws RequestError, StateError. */
export function revokeAgent(
  { state, logger }: RevokeOptions,
  request: AgentName,
  by: Actor,
): { readonly agentId: string; readonly host: string; readonly revision: number } {
  const name = readName(request.agent, 'agent');
  const network = requireNetworkOfAgent(state.current, request.network, name).name;
  const actor = actorName(by);
  const { agentId, host, revision } = state.revokeAgent(network, name, actor);
  logger.info({ event: 'agent-revoked', network, host, agent: agentId, revision, actor }, 'agent revoked');
  return { agentId, host, revision };
}

/** Throws RequestError, StateError. */
export function revokeToken(
  { state, logger }: RevokeOptions,
  tokenId: string,
  by: Actor,
): { readonly hosts: readonly string[]; readonly revision: number } {
  const token = readName(tokenId, 'token_id');
  const actor = actorName(by);
  const { hosts, revision } = state.revokeToken(token, actor);
  logger.info({ event: 'token-revoked', token, hosts, revision, actor }, 'join token revoked');
  return { hosts, revision };
}
