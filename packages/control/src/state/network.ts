/** What the writer keeps of one network beside its snapshot, and how the next snapshot is made from the last. */
import { byText, CONTROL_RANGE, entryOf, type Mesh, rightsIn } from '@weft/proto';
import type { AddressRow, AgentRow, InstanceRow, NetworkRow } from '../store/rows.ts';
import { Allotment, type AllotmentSink } from './allotment.ts';
import { sameService } from './diff.ts';
import type { Draft } from './draft.ts';
import { rightsOf, summed } from './member-rights.ts';
import { readOrigins } from './origins.ts';
import type { AgentState, InstanceState, MemberRight, NetworkState, ServiceState, TokenState } from './types.ts';

export class Network {
  readonly #name: string;
  readonly #allotment: Allotment;
  readonly #ordinals: Ordinals;
  /** Identity key and tunnel key in hexadecimal, to agent id. */
  readonly #keys = new Map<string, string>();

  constructor(
    name: string,
    rows: { readonly addresses: readonly AddressRow[]; readonly instances: readonly InstanceRow[] },
  ) {
    this.#name = name;
    this.#allotment = new Allotment(rows.addresses, CONTROL_RANGE.size);
    this.#ordinals = new Ordinals(rows.instances);
  }

  /** The agent that holds this identity key or tunnel key. */
  keyHolder(key: Uint8Array): string | undefined {
    return this.#keys.get(hex(key));
  }

  /** The snapshot as of the rows that control was started with. */
  restore(
    row: NetworkRow,
    mesh: Mesh,
    agentRows: readonly AgentRow[],
    tokens: ReadonlyMap<string, TokenState>,
  ): NetworkState {
    const agents = new Map<string, AgentState>();
    const rightOf = rightsIn(mesh);
    for (const agentRow of agentRows) {
      const { services: granted, ...agent } = agentRow;
      const services = rightOf(agent.host, granted);
      const rights = rightsOf(agentRow, tokens);
      agents.set(agent.id, { ...agent, rights, granted, services, address: this.#known(`host/${agent.host}`) });
      this.#keys.set(hex(agent.identityKey), agent.id).set(hex(agent.tunnelKey), agent.id);
    }
    const services = new Map<string, ServiceState>();
    const instances = new Map<string, InstanceState>();
    for (const service of mesh.services) {
      services.set(service.name, { service, address: this.#known(`service/${service.name}`) });
      for (const [ordinal, agentId] of this.#ordinals.copies(service.name)) {
        const key = `${service.name}/${ordinal}`;
        instances.set(key, { service: service.name, agentId, ordinal, address: this.#known(`instance/${key}`) });
      }
    }
    const { name, revision, meshRevision, secret } = row;
    const origins = readOrigins(row.origins);
    return { name, revision, mesh, meshRevision, origins, secret, services, agents, hosts: hostsOf(agents), instances };
  }

  /** The mesh replaces the one before. Names that went away give up their addresses, names that came get theirs. */
  withMesh(previous: NetworkState, mesh: Mesh, draft: Draft): NetworkState {
    const declared = new Set(mesh.services.map((service) => service.name));
    let sameNames = declared.size === previous.services.size;
    for (const name of previous.services.keys()) {
      if (declared.has(name)) continue;
      sameNames = false;
      this.#release(`service/${name}`, draft);
      for (const [ordinal] of this.#ordinals.copies(name)) {
        this.#release(`instance/${name}/${ordinal}`, draft);
      }
    }
    const services = new Map<string, ServiceState>();
    for (const service of mesh.services) {
      const held = previous.services.get(service.name);
      if (held !== undefined && sameService(held.service, service)) services.set(service.name, held);
      else services.set(service.name, { service, address: this.#address(`service/${service.name}`, draft) });
    }
    const agents = underMesh(previous.agents, mesh);
    let instances = sameNames ? previous.instances : this.#instancesOf(mesh, previous, draft);
    for (const agent of agents.values()) instances = this.#withinScope(instances, agent, services, draft);
    const { revision } = draft;
    return { ...previous, revision, mesh, meshRevision: revision, services, agents, instances };
  }

  /** The agent joins, or takes the place of `replaced`, which is the same agent as it was before. */
  withAgent(
    previous: NetworkState,
    agent: Omit<AgentState, 'address' | 'services'>,
    replaced: AgentState | undefined,
    draft: Draft,
  ): { readonly network: NetworkState; readonly agent: AgentState } {
    if (replaced !== undefined) {
      this.#forgetKeys(replaced);
      if (replaced.host !== agent.host) this.#release(`host/${replaced.host}`, draft);
    }
    const { granted, ...row } = agent;
    draft.writes.push({ write: 'putAgent', row: { ...row, services: granted } });
    this.#keys.set(hex(agent.identityKey), agent.id).set(hex(agent.tunnelKey), agent.id);
    const services = rightsIn(previous.mesh)(agent.host, granted);
    const joined: AgentState = { ...agent, services, address: this.#address(`host/${agent.host}`, draft) };
    const agents = new Map(previous.agents).set(agent.id, joined);
    const instances = this.#withinScope(previous.instances, joined, previous.services, draft);
    const { revision } = draft;
    return { network: { ...previous, revision, agents, hosts: hostsOf(agents), instances }, agent: joined };
  }

  /** Members have other rights, under the names and keys that they have. */
  withRights(
    previous: NetworkState,
    changed: readonly { readonly agent: AgentState; readonly rights: readonly MemberRight[] }[],
    draft: Draft,
  ): NetworkState {
    if (changed.length === 0) return { ...previous, revision: draft.revision };
    const agents = new Map(previous.agents);
    let { instances } = previous;
    const rightOf = rightsIn(previous.mesh);
    for (const { agent: before, rights } of changed) {
      const sum = summed(rights);
      const agent = { ...before, ...sum, services: rightOf(before.host, sum.granted) };
      const { granted, address: _, ...row } = agent;
      draft.writes.push({ write: 'putAgent', row: { ...row, services: granted } });
      agents.set(agent.id, agent);
      instances = this.#withinScope(instances, agent, previous.services, draft);
    }
    return { ...previous, revision: draft.revision, agents, instances };
  }

  /** The agent goes by another name, with its address where that name has none of its own. */
  withHost(previous: NetworkState, agent: AgentState, host: string, draft: Draft): NetworkState {
    const [from, to] = [`host/${agent.host}`, `host/${host}`];
    if (!this.#allotment.rename(from, to, draft.clocks.passed(), this.#sink(draft))) this.#release(from, draft);
    const { services: _, address: _address, ...member } = agent;
    return this.withAgent(previous, { ...member, host }, undefined, draft).network;
  }

  /** The agents leave; the numbers of their copies are free for others at once. */
  withoutAgents(previous: NetworkState, gone: readonly AgentState[], draft: Draft): NetworkState {
    const agents = new Map(previous.agents);
    const instances = new Map(previous.instances);
    for (const agent of gone) {
      agents.delete(agent.id);
      draft.writes.push({ write: 'removeAgent', row: { id: agent.id } });
      this.#forgetKeys(agent);
      this.#release(`host/${agent.host}`, draft);
      for (const [service, ordinal] of this.#ordinals.removeAgent(agent.id)) {
        instances.delete(`${service}/${ordinal}`);
        this.#release(`instance/${service}/${ordinal}`, draft);
      }
    }
    return { ...previous, revision: draft.revision, agents, hosts: hostsOf(agents), instances };
  }

  /** Services of the list that the agent may run, the mesh declares, and that have no copy on the agent yet. */
  missingInstances(network: NetworkState, agent: AgentState, services: readonly string[]): string[] {
    const missing = services.filter(
      (service) =>
        agent.services.includes(service) &&
        network.services.has(service) &&
        this.#ordinals.get(service, agent.id) === undefined,
    );
    return [...new Set(missing)].sort(byText);
  }

  withInstances(previous: NetworkState, agentId: string, services: readonly string[], draft: Draft): NetworkState {
    const instances = new Map(previous.instances);
    for (const service of services) {
      const ordinal = this.#ordinals.assign(service, agentId);
      draft.writes.push({ write: 'addInstance', row: { network: this.#name, service, ordinal, agentId } });
      const address = this.#address(`instance/${service}/${ordinal}`, draft);
      instances.set(`${service}/${ordinal}`, { service, agentId, ordinal, address });
    }
    return { ...previous, instances };
  }

  /** An agent loses the copies of declared services that it may not run any more. */
  #withinScope(
    before: ReadonlyMap<string, InstanceState>,
    agent: AgentState,
    declared: NetworkState['services'],
    draft: Draft,
  ): ReadonlyMap<string, InstanceState> {
    const lost = this.#ordinals
      .held(agent.id)
      .filter((service) => declared.has(service) && !agent.services.includes(service));
    if (lost.length === 0) return before;
    const instances = new Map(before);
    for (const service of lost) {
      const ordinal = this.#ordinals.remove(service, agent.id);
      if (ordinal === undefined) continue;
      instances.delete(`${service}/${ordinal}`);
      draft.writes.push({ write: 'removeInstance', row: { network: this.#name, service, ordinal } });
      this.#release(`instance/${service}/${ordinal}`, draft);
    }
    return instances;
  }

  #instancesOf(mesh: Mesh, previous: NetworkState, draft: Draft): ReadonlyMap<string, InstanceState> {
    const instances = new Map<string, InstanceState>();
    for (const { name: service } of mesh.services) {
      for (const [ordinal, agentId] of this.#ordinals.copies(service)) {
        const key = `${service}/${ordinal}`;
        instances.set(
          key,
          previous.instances.get(key) ?? {
            service,
            agentId,
            ordinal,
            address: this.#address(`instance/${key}`, draft),
          },
        );
      }
    }
    return instances;
  }

  #forgetKeys({ identityKey, tunnelKey }: AgentState): void {
    for (const key of [identityKey, tunnelKey]) this.#keys.delete(hex(key));
  }

  #address(name: string, draft: Draft): number {
    return CONTROL_RANGE.base + this.#allotment.acquire(name, draft.clocks.passed(), this.#sink(draft));
  }

  #release(name: string, draft: Draft): void {
    this.#allotment.release(name, draft.clocks.passed(), this.#sink(draft));
  }

  /** The address of a name that must have one. */
  #known(name: string): number {
    const offset = this.#allotment.offset(name);
    if (offset === undefined) throw new Error(`network ${this.#name} has no address for ${name}`);
    return CONTROL_RANGE.base + offset;
  }

  #sink({ writes }: Draft): AllotmentSink {
    const network = this.#name;
    return {
      put: (name, offset, releasedMs) =>
        writes.push({ write: 'putAddress', row: { network, name, place: offset, releasedMs } }),
      remove: (name) => writes.push({ write: 'removeAddress', row: { network, name } }),
    };
  }
}

/** The agents with what they may run by the mesh: the same objects, and the same map, where nothing differs. */
function underMesh(agents: ReadonlyMap<string, AgentState>, mesh: Mesh): ReadonlyMap<string, AgentState> {
  const rightOf = rightsIn(mesh);
  const changed = new Map<string, AgentState>();
  for (const [id, agent] of agents) {
    const services = rightOf(agent.host, agent.granted);
    if (services.join() !== agent.services.join()) changed.set(id, { ...agent, services });
  }
  return changed.size === 0 ? agents : new Map([...agents].map(([id, agent]) => [id, changed.get(id) ?? agent]));
}

function hostsOf(agents: ReadonlyMap<string, AgentState>): Map<string, string> {
  const hosts = new Map<string, string>();
  for (const agent of agents.values()) hosts.set(agent.host, agent.id);
  return hosts;
}

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

/** Which agent is which copy of a service: the lowest free number, kept for the agent's life. */
export class Ordinals {
  readonly #services = new Map<string, Map<number, string>>();
  readonly #agents = new Map<string, Map<string, number>>();

  constructor(rows: Iterable<{ readonly service: string; readonly ordinal: number; readonly agentId: string }>) {
    for (const { service, ordinal, agentId } of rows) this.#set(service, ordinal, agentId);
  }

  get(service: string, agentId: string): number | undefined {
    return this.#agents.get(agentId)?.get(service);
  }

  /** Gives the agent, which has none yet, a number for the service. */
  assign(service: string, agentId: string): number {
    const taken = this.#services.get(service);
    let ordinal = 0;
    while (taken?.has(ordinal) === true) ordinal++;
    this.#set(service, ordinal, agentId);
    return ordinal;
  }

  /** Copies of a service: number and agent. */
  copies(service: string): Iterable<[ordinal: number, agentId: string]> {
    return this.#services.get(service) ?? [];
  }

  /** Services that the agent is a copy of. */
  held(agentId: string): string[] {
    return [...(this.#agents.get(agentId)?.keys() ?? [])];
  }

  /** Frees the agent's number for one service, and says which it was. */
  remove(service: string, agentId: string): number | undefined {
    const ordinal = this.get(service, agentId);
    if (ordinal === undefined) return undefined;
    this.#agents.get(agentId)?.delete(service);
    this.#services.get(service)?.delete(ordinal);
    return ordinal;
  }

  /** Forgets the agent; the answer says which copies it was. */
  removeAgent(agentId: string): Iterable<[service: string, ordinal: number]> {
    const held = this.#agents.get(agentId) ?? new Map<string, number>();
    this.#agents.delete(agentId);
    for (const [service, ordinal] of held) this.#services.get(service)?.delete(ordinal);
    return held;
  }

  #set(service: string, ordinal: number, agentId: string): void {
    entryOf(this.#services, service, () => new Map()).set(ordinal, agentId);
    entryOf(this.#agents, agentId, () => new Map()).set(service, ordinal);
  }
}
