/** The agents of a network as views need them: whom each may speak as, what runs on it, and what others may be told of it. */
import type { AgentState, NetworkState } from '../state/types.ts';
import { type Interner, PeerEntry, SharedEntry } from './entry.ts';
import type { PolicyClasses, Right, ServiceClass, SourceClass } from './policy-classes.ts';
import type { Presences } from './presence.ts';

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
  /** Where control can be reached; the same at every moment. */
  readonly controlAddresses: readonly string[];
}

export function memberOf(agent: AgentState, sources: MemberSources): Member {
  const { network, presences, classes, running, shared, peers, controlAddresses } = sources;
  const right = classes.right(agent.services);
  const { scope } = right;
  const tags = classes.hostTags(agent.host);
  const endpoints = presences.get(agent.id)?.endpoints ?? NO_ENDPOINTS;
  const { id: agentId, host, tunnelKey, roles, address } = agent;
  const told = { agentId, host, tags, services: scope, roles, address };
  // One list for as long as it says the same.
  const from = [agent, tags.join(), scope];
  return {
    agent,
    scope,
    profile: profileOf(classes, agent, right, running.get(agentId) ?? []),
    self: shared.keep(
      `self/${agentId}`,
      from,
      () => new SharedEntry({ type: 'self', network: network.name, controlAddresses, ...told }),
    ),
    peer: peers.keep(
      agentId,
      [...from, endpoints],
      () => new PeerEntry({ type: 'peer', ...told, tunnelKey, psk: NO_KEY, endpoints }),
    ),
  };
}

const NO_ENDPOINTS: readonly string[] = [];
const NO_KEY = new Uint8Array(0);

/** What decides whom an agent may exchange flows with. Agents of one profile have the same peers, workers and rules. */
export interface Profile {
  readonly key: string;
  /** Whom it may speak as: the declared services it may run, its host, and for a gateway the internet. */
  readonly sources: readonly SourceClass[];
  /** What runs on it and can be called. */
  readonly served: readonly ServiceClass[];
  /** Indexes of the rules that may decide a flow from or to it, whether it runs all it may run or not. */
  readonly rules: readonly number[];
}

/** `running` are the services with an instance on the agent now. */
function profileOf(classes: PolicyClasses, agent: AgentState, right: Right, running: readonly string[]): Profile {
  const sources = new Set(right.callers);
  sources.add(classes.callerHost(agent.host, right));
  if (agent.roles.includes('gateway')) sources.add(classes.callerInternet());
  const served = new Set(running.map((name) => classes.called(name)));
  const rules = new Set(right.rules);
  for (const source of sources) for (const rule of source.rules) rules.add(rule);
  const sortedRules = [...rules].sort(byNumber);
  return {
    key: `${identifiers(sources)} ${identifiers(served)} ${sortedRules.join()}`,
    sources: [...sources],
    served: [...served],
    rules: sortedRules,
  };
}

/** Whether any flow from an agent of the one profile to an agent of the other, or back, is permitted. */
export function mayExchangeFlows(classes: PolicyClasses, one: Profile, other: Profile): boolean {
  return mayCall(classes, one, other) || mayCall(classes, other, one);
}

function mayCall(classes: PolicyClasses, caller: Profile, called: Profile): boolean {
  return called.served.some((service) => caller.sources.some((source) => classes.permits(source, service)));
}

function identifiers(classes: Iterable<{ readonly id: number }>): string {
  return Array.from(classes, ({ id }) => id)
    .sort(byNumber)
    .join();
}

function byNumber(one: number, other: number): number {
  return one - other;
}
