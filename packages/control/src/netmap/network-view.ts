/**
 * One network at one moment, cut into the parts that agents' views are put together from. Made anew at each change, in time
 * linear in services, instances and agents; what did not change is carried over by reference.
 */

import { CAPABILITY, defined, entryOf, plainRules, withPublished } from '@weft/proto';
import type { InstanceState, NetworkState } from '../state/types.ts';
import { AgentView, type Part } from './agent-view.ts';
import { type Entry, Interner, type PeerEntry, SharedEntry } from './entry.ts';
import { type Member, mayExchangeFlows, memberOf, type Profile } from './members.ts';
import { PairKeys } from './pair-keys.ts';
import { PolicyClasses } from './policy-classes.ts';
import { ABSENT, type InstanceHealth, type Presences } from './presence.ts';
import { ReadableParts } from './readable.ts';

export class NetworkView {
  readonly network: NetworkState;
  readonly #classes: PolicyClasses;
  readonly #pairKeys: PairKeys;
  readonly #shared: Interner<SharedEntry>;
  readonly #peers: Interner<PeerEntry>;
  /** Web and private services and their instances: what everyone knows. */
  readonly #common: Part;
  /** Each worker with its instances, by name. */
  readonly #workers = new Map<string, Part>();
  readonly #members = new Map<string, Member>();
  /** Members of one profile, by its key. */
  readonly #alike = new Map<string, Member[]>();
  /** Parts made when first asked for, by what they depend on; shared with the moment before when all of that is the same. */
  readonly #made: MadeParts;
  readonly #readable: ReadableParts;

  /** `controlAddresses`: where agents are told that control can be reached. */
  constructor(
    network: NetworkState,
    presences: Presences,
    before?: NetworkView,
    readable = new ReadableParts(),
    controlAddresses: readonly string[] = [],
  ) {
    this.network = network;
    this.#readable = readable;
    this.#classes = before?.network.mesh === network.mesh ? before.#classes : new PolicyClasses(network.mesh);
    this.#pairKeys = before?.network.secret === network.secret ? before.#pairKeys : new PairKeys(network.secret);
    this.#shared = new Interner(before === undefined ? undefined : before.#shared);
    this.#peers = new Interner(before === undefined ? undefined : before.#peers);

    const running = new Map<string, string[]>();
    const parts = this.#layServices(presences, running);
    this.#common = before === undefined ? parts.common : carriedOver(before.#common, parts.common);
    for (const [name, part] of parts.workers) {
      this.#workers.set(name, before === undefined ? part : carriedOver(before.#workers.get(name), part));
    }

    const kept = { classes: this.#classes, shared: this.#shared, peers: this.#peers };
    const sources = { network, presences, running, controlAddresses, ...kept };
    for (const agent of network.agents.values()) {
      const member = memberOf(agent, sources);
      this.#members.set(agent.id, member);
      entryOf(this.#alike, member.profile.key, () => []).push(member);
    }
    if (before === undefined) this.#made = new MadeParts(new Map());
    else this.#made = this.#sameTopology(before) ? before.#made : new MadeParts(before.#made.policies);
    this.#shared.seal();
    this.#peers.seal();
  }

  /** What the agent may know, in words that its capability understands; undefined when it is no member. */
  of(agentId: string, capability: number = CAPABILITY): AgentView | undefined {
    const member = this.#members.get(agentId);
    if (member === undefined) return undefined;
    const { agent, profile, self } = member;
    const viewer = { agentId, tunnelKey: agent.tunnelKey, pairKeys: this.#pairKeys };
    const parts = [this.#common, this.#workersOf(member), this.#peersOf(profile), this.#policyOf(profile), self.alone];
    return new AgentView(
      viewer,
      this.network.revision,
      parts.map((part) => this.#readable.of(part, capability)),
    );
  }

  /** Fills `running` with the services that have an instance on an agent now, by agent id. */
  #layServices(presences: Presences, running: Map<string, string[]>): { common: Part; workers: Map<string, Part> } {
    const common = new Map<string, Entry>();
    const workers = new Map<string, Map<string, Entry>>();
    for (const state of this.network.services.values()) {
      const { service, address } = state;
      const key = `service/${service.name}`;
      const entry = this.#shared.keep(key, [state], () => new SharedEntry({ type: 'service', service, address }));
      if (service.kind === 'worker') workers.set(service.name, new Map([[key, entry]]));
      else common.set(key, entry);
    }
    for (const instance of this.network.instances.values()) {
      const health = healthOf(instance, this.network, presences);
      if (health === undefined) continue;
      const entry = this.#instance(instance, health);
      (workers.get(instance.service) ?? common).set(entry.key, entry);
      entryOf(running, instance.agentId, () => []).push(instance.service);
    }
    return { common, workers };
  }

  #instance(instance: InstanceState, health: InstanceHealth): SharedEntry {
    const { service, ordinal, agentId, address } = instance;
    // What is declared matters to what was opened beside it alone: an instance without that is kept, whatever is applied.
    const declared = health.opened === undefined ? undefined : this.network.services.get(service)?.service;
    return this.#shared.keep(`instance/${service}/${ordinal}`, [instance, health, declared], () => {
      const { healthy, notListening, opened } = withPublished(health, declared);
      return new SharedEntry({
        ...{ type: 'instance', service, ordinal, agentId, address, healthy, notListening },
        ...defined({ opened }),
      });
    });
  }

  /** Whether every part of the moment before, but for the common one, is still right. */
  #sameTopology(before: NetworkView): boolean {
    if (before.#classes !== this.#classes || before.#members.size !== this.#members.size) return false;
    if (!sameValues(before.#workers, this.#workers)) return false;
    for (const [agentId, { peer, profile }] of this.#members) {
      const was = before.#members.get(agentId);
      if (was?.peer !== peer || was.profile.key !== profile.key) return false;
    }
    return true;
  }

  /** Workers that it may run, those that may call what runs on it, and of those that its peers may run what it must know. */
  #workersOf({ scope, profile }: Member): Part {
    const others = this.#made.workersOfOthers(profile.key, () => this.#workersOfOthers(profile));
    const names = [...this.#workers.keys()].filter((name) => others.has(name) || scope.includes(name));
    return this.#made.workers(names.join(), () => {
      const part = new Map<string, Entry>();
      for (const name of names) for (const [key, entry] of this.#workers.get(name) ?? []) part.set(key, entry);
      return part;
    });
  }

  /**
   * What is denied to a worker is denied to any process of a host that may run it. Its name comes with that peer, and that it
   * is a worker goes without saying; its tags do not.
   */
  #workersOfOthers(profile: Profile): ReadonlySet<string> {
    const workers = [...this.#workers.keys()];
    const callers = workers.filter((name) => {
      const caller = this.#classes.callerService(name);
      return profile.served.some((service) => this.#classes.permits(caller, service));
    });
    const denied = workers.filter((name) => this.#classes.isDeniedByTag(name));
    if (denied.length === 0) return new Set(callers);
    const ofPeers = new Set([...this.#peersLike(profile)].flatMap(({ scope }) => scope));
    return new Set([...callers, ...denied.filter((name) => ofPeers.has(name))]);
  }

  #peersOf(profile: Profile): Part {
    return this.#made.peers(profile.key, () => {
      return new Map(Array.from(this.#peersLike(profile), ({ peer }): [string, Entry] => [peer.key, peer]));
    });
  }

  /** Everyone whom an agent of this profile may exchange flows with, perhaps itself among them. */
  *#peersLike(profile: Profile): Generator<Member> {
    for (const alike of this.#alike.values()) {
      const [first] = alike;
      if (first !== undefined && mayExchangeFlows(this.#classes, profile, first.profile)) yield* alike;
    }
  }

  #policyOf(profile: Profile): Part {
    const { policies, defaultAction } = this.network.mesh;
    return this.#made.policy(profile.rules.join(), () => {
      const needed = new Set(profile.rules);
      const rules = plainRules(policies).filter((_rule, index) => needed.has(index));
      return new SharedEntry({ type: 'policy', defaultAction, rules });
    });
  }
}

/** Parts by what they depend on. */
class MadeParts {
  readonly #workersOfOthers = new Map<string, ReadonlySet<string>>();
  readonly #workers = new Map<string, Part>();
  readonly #peers = new Map<string, Part>();
  readonly #ofRules = new Map<string, Part>();
  readonly #policies = new Map<string, Part>();
  readonly #earlierPolicies: ReadonlyMap<string, Part>;

  /** `earlierPolicies` are those of the moment before: a policy with the same bytes stays the same part. */
  constructor(earlierPolicies: ReadonlyMap<string, Part>) {
    this.#earlierPolicies = earlierPolicies;
  }

  /** Policy parts by digest. */
  get policies(): ReadonlyMap<string, Part> {
    return this.#policies;
  }

  workersOfOthers(key: string, make: () => ReadonlySet<string>): ReadonlySet<string> {
    return entryOf(this.#workersOfOthers, key, make);
  }

  workers(key: string, make: () => Part): Part {
    return entryOf(this.#workers, key, make);
  }

  peers(key: string, make: () => Part): Part {
    return entryOf(this.#peers, key, make);
  }

  policy(rules: string, make: () => SharedEntry): Part {
    return entryOf(this.#ofRules, rules, () => {
      const entry = make();
      const part = this.#earlierPolicies.get(entry.digest()) ?? entry.alone;
      this.#policies.set(entry.digest(), part);
      return part;
    });
  }
}

/** How the instance fares; undefined when its agent does not run it now, or may not any more. */
function healthOf(
  { agentId, service }: InstanceState,
  { agents }: NetworkState,
  presences: Presences,
): InstanceHealth | undefined {
  if (agents.get(agentId)?.services.includes(service) !== true) return undefined;
  const presence = presences.get(agentId);
  return presence === undefined ? ABSENT : presence.instances.get(service);
}

function carriedOver(before: Part | undefined, now: Part): Part {
  return before !== undefined && sameValues(before, now) ? before : now;
}

function sameValues<V>(one: ReadonlyMap<string, V>, other: ReadonlyMap<string, V>): boolean {
  if (one.size !== other.size) return false;
  for (const [key, value] of one) if (other.get(key) !== value) return false;
  return true;
}
