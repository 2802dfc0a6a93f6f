/** The agents of a network as views need them: whom each may speak as, what runs on it, and what others may be told of it. */
import type { AgentState, NetworkState } from '../state/types.ts';
import { PeerEntry, SharedEntry } from './entry.ts';
import type { Interner } from './interner.ts';
import type { PolicyClasses } from './policy-classes.ts';
import type { Presences } from './presence.ts';
import { type Profile, profileOf, scopeOf } from './profile.ts';

export interface Member {
  readonly agent: AgentState;
  /** Declared services that it may run. */
  readonly scope: readonly string[];
  readonly profile: Profile;
  readonly self: SharedEntry;
  readonly peer: PeerEntry;
}

/** What members are made with: the network at one moment, and entries carried over from the moment before. */
export interface MemberSources {
  readonly network: NetworkState;
  readonly presences: Presences;
  readonly classes: PolicyClasses;
  /** Services with an instance on the agent now, by agent id. */
  readonly running: ReadonlyMap<string, readonly string[]>;
  readonly shared: Interner<SharedEntry>;
  readonly peers: Interner<PeerEntry>;
}

export function memberOf(agent: AgentState, sources: MemberSources): Member {
  const { network, presences, classes, running, shared, peers } = sources;
  const scope = scopeOf(network, agent);
  const tags = classes.hostTags(agent.host);
  const endpoints = presences.get(agent.id)?.endpoints ?? NO_ENDPOINTS;
  const { id: agentId, host, tunnelKey, roles, address } = agent;
  const told = { agentId, host, tags, services: scope, roles, address };
  const from = [agent, tags.join(), scope.join()];
  return {
    agent,
    scope,
    profile: profileOf(classes, agent, scope, running.get(agentId) ?? []),
    self: shared.keep(`self/${agentId}`, from, () => new SharedEntry({ type: 'self', network: network.name, ...told })),
    peer: peers.keep(
      agentId,
      [...from, endpoints],
      () => new PeerEntry({ type: 'peer', ...told, tunnelKey, psk: NO_KEY, endpoints }),
    ),
  };
}

const NO_ENDPOINTS: readonly string[] = [];
const NO_KEY = new Uint8Array(0);
