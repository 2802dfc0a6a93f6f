/** What decides whom an agent may exchange flows with. Agents of one profile have the same peers, workers and rules. */
import type { AgentState, NetworkState } from '../state/types.ts';
import type { PolicyClasses, ServiceClass, SourceClass } from './policy-classes.ts';

export interface Profile {
  readonly key: string;
  /** Whom it may speak as: the declared services it may run, its host, and for a gateway the internet. */
  readonly sources: readonly SourceClass[];
  /** What runs on it and can be called. */
  readonly served: readonly ServiceClass[];
  /** Indexes of the rules that may decide a flow from or to it, whether it runs all it may run or not. */
  readonly rules: readonly number[];
}

/** Services that control allows the agent and the mesh declares. */
export function scopeOf(network: NetworkState, agent: AgentState): string[] {
  return agent.services.filter((name) => network.services.has(name));
}

/** `scope` from scopeOf; `running` are the services with an instance on the agent now. */
export function profileOf(
  classes: PolicyClasses,
  agent: AgentState,
  scope: readonly string[],
  running: readonly string[],
): Profile {
  const sources = new Set(scope.map((name) => classes.callerService(name)));
  sources.add(classes.callerHost(agent.host));
  if (agent.roles.includes('gateway')) sources.add(classes.callerInternet());
  const served = new Set(running.map((name) => classes.called(name)));
  const rules = new Set<number>();
  for (const source of sources) for (const rule of source.rules) rules.add(rule);
  for (const name of scope) for (const rule of classes.called(name).rules) rules.add(rule);
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
