/** The ends of memberships and tokens, for who may order them, by whatever way the order came. */
import { byText, END_SECONDS, joinTokenState, problem } from '@weft/proto';
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import { hangingOn, tokensOf } from '../state/member-rights.ts';
import type { RemovedNetwork, RevokedToken, StateStore } from '../state/types.ts';
import { type ChangeMeshOptions, waited } from './change-mesh.ts';
import { RequestError, readAll } from './errors.ts';
import { readName, readNetworkName, requireNetwork, requireNetworkOfAgent } from './request.ts';

export interface RevokeOptions {
  readonly state: StateStore;
  readonly logger: Logger;
}

interface Clock {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export interface AgentName {
  /** Empty for the only one there is, or where `agent` is an identifier. */
  readonly network: string;
  /** A host name or an identifier. */
  readonly agent: string;
  /** The token that it joined with goes too, and with that everyone who joined with it. */
  readonly withToken: boolean;
}

export interface RevokedAgent {
  readonly network: string;
  readonly agentId: string;
  readonly revision: number;
  /** Whose memberships ended. */
  readonly hosts: readonly string[];
  /** Members that lost what one of these tokens had added. */
  readonly narrowed: readonly string[];
  /** Of those, the ones that are ephemeral from now on. */
  readonly madeEphemeral: readonly string[];
  /** The first of the tokens; empty where there is none. */
  readonly admittingToken: string;
  /** The tokens that it had joined with, with which somebody new can still join. */
  readonly admittingTokens: readonly string[];
  /** Others that one of these made members. */
  readonly joinedAlike: readonly string[];
  /** Others to which these only added. */
  readonly addedAlike: readonly string[];
}

/** Rejects with RequestError, StateError. */
export async function revokeAgent(
  options: RevokeOptions & Clock,
  request: AgentName,
  by: Actor,
): Promise<RevokedAgent> {
  const { state, logger, now } = options;
  const { name } = readAll({
    network: () => readNetworkName(request.network),
    name: () => readName(request.agent, 'agent'),
  });
  const network = requireNetworkOfAgent(state.current, request.network, name);
  const agent = network.agents.get(network.hosts.get(name) ?? name);
  const actor = actorName(by);
  if (request.withToken) {
    const { tokens, ...ended } = await state.revokeWithTokens(network.name, name, actor);
    const { agentId, hosts, narrowed, madeEphemeral, revision } = ended;
    for (const token of tokens)
      logger.info(
        { event: 'token-revoked', token, hosts, narrowed, madeEphemeral, revision, actor },
        'join token revoked',
      );
    const host = agent?.host ?? name;
    logger.info(
      { event: 'agent-revoked', network: network.name, host, agent: agentId, revision, actor, admittingTokens: [] },
      'agent revoked',
    );
    return { ...ended, network: network.name, ...NOBODY_ELSE };
  }
  const { agentId, host, revision } = await state.revokeAgent(network.name, name, actor);
  // One that is good for this host alone is refused from now on: a revoked name comes back by a later token only.
  const admits = (id: string): boolean => {
    const token = state.token(id);
    return token !== undefined && token.host !== host && joinTokenState(token, now()) === 'valid';
  };
  const admittingTokens = (agent === undefined ? [] : tokensOf(agent)).filter(admits);
  const members = state.current.networks.get(network.name)?.agents.values() ?? [];
  const [joined, added] = hangingOn(members, admittingTokens);
  logger.info(
    { event: 'agent-revoked', network: network.name, host, agent: agentId, revision, actor, admittingTokens },
    'agent revoked',
  );
  return {
    ...{ network: network.name, agentId, revision, hosts: [host], narrowed: [], madeEphemeral: [] },
    ...{ admittingToken: admittingTokens[0] ?? '', admittingTokens },
    joinedAlike: joined.map((other) => other.host).sort(byText),
    addedAlike: added.map((other) => other.host).sort(byText),
  };
}

const NOBODY_ELSE = { admittingToken: '', admittingTokens: [], joinedAlike: [], addedAlike: [] };

export interface TakenUp {
  /** Hosts connected and not yet enforcing it, and those from which it takes something that are away. */
  readonly stragglers: readonly string[];
  /** Hosts that enforce it, and could not write it down. */
  readonly notKept: readonly string[];
}

/** How the agents of a network have taken up a revision, once all have, or after END_SECONDS. The signal ends the wait. */
export async function takenUp(
  options: Pick<ChangeMeshOptions, 'state' | 'live' | 'enforcement'>,
  name: string,
  revision: number,
  signal: AbortSignal,
  narrowed: readonly string[] = [],
): Promise<TakenUp> {
  return await waited(options, name, revision, END_SECONDS * 1_000, signal, narrowed);
}

/** Rejects with RequestError, StateError. */
export async function removeNetwork(
  { state, logger }: RevokeOptions,
  { network: named, confirm }: { readonly network: string; readonly confirm: string },
  by: Actor,
): Promise<RemovedNetwork> {
  if (named === '') throw new RequestError([problem('network', 'name the network to remove')]);
  const network = requireNetwork(state.current, named).name;
  if (confirm !== network) throw new RequestError([problem('confirm', `expected ${network} again, to remove it`)]);
  const actor = actorName(by);
  const removed = await state.removeNetwork(network, actor);
  logger.info({ event: 'network-removed', network, ...removed, actor }, 'network removed');
  return removed;
}

/** Rejects with RequestError, StateError. */
export async function revokeToken({ state, logger }: RevokeOptions, tokenId: string, by: Actor): Promise<RevokedToken> {
  const token = readName(tokenId, 'token_id');
  const actor = actorName(by);
  const ended = await state.revokeToken(token, actor);
  const { already, ...told } = ended;
  if (!already) logger.info({ event: 'token-revoked', token, ...told, actor }, 'join token revoked');
  return ended;
}
