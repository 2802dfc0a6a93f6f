/** A network in memory, for tests: real state, made-up hosts. */
import { createHash, randomBytes } from 'node:crypto';
import type { AgentRole, Kind, Mesh, PortRange, Rule, Service } from '@weft/proto';
import nacl from 'tweetnacl';
import { openState } from '../state/state.ts';
import type { AgentState, NetworkState, StateStore } from '../state/types.ts';
import { Store } from '../store/store.ts';
import type { InstanceHealth, Presence, Presences } from './presence.ts';

export interface TestHost {
  readonly host: string;
  readonly services?: readonly string[];
  readonly roles?: readonly AgentRole[];
  readonly ephemeral?: boolean;
}

export interface JoinedHost {
  readonly agent: AgentState;
  /** Ed25519 secret key, 64 bytes. */
  readonly identitySecret: Uint8Array;
}

export function tcp(...ports: readonly number[]): PortRange[] {
  return ports.map((port) => ({ protocol: 'tcp', first: port, last: port }));
}

export function service(
  name: string,
  kind: Kind,
  ports: readonly PortRange[] = [],
  more: Partial<Service> = {},
): Service {
  return { name, kind, ports, tags: [], ...more };
}

export function rule(
  name: string,
  action: Rule['action'],
  from: string[],
  to: string[],
  ports: PortRange[] = [],
): Rule {
  return { name, action, from, to, ports };
}

export function mesh(parts: Partial<Mesh>): Mesh {
  return { network: 'prod', services: [], defaultAction: 'allow', policies: [], agents: [], tests: [], ...parts };
}

export function emptyState(now: () => number = Date.now): Promise<StateStore> {
  return openState({ store: Store.inMemory(), now });
}

/** Makes a host a member, with a token of its own. */
export async function joinHost(state: StateStore, network: string, host: TestHost): Promise<JoinedHost> {
  const secretHash = new Uint8Array(createHash('sha256').update(host.host).digest());
  const scope = {
    network,
    services: host.services ?? [],
    host: '',
    roles: host.roles ?? [],
    reusable: false,
    ephemeral: host.ephemeral ?? false,
  };
  const token = await state.createToken(scope, secretHash, 60_000, 'control');
  const identity = nacl.sign.keyPair();
  const { agent } = await state.join({
    token,
    host: host.host,
    identityKey: identity.publicKey,
    tunnelKey: new Uint8Array(randomBytes(32)),
    version: '0.0.0',
  });
  return { agent, identitySecret: identity.secretKey };
}

/** A network with its hosts joined and an instance of each service on each host that may run it. */
export async function networkOf(declared: Mesh, hosts: readonly TestHost[]): Promise<NetworkState> {
  const state = await emptyState();
  await state.apply(declared, { dryRun: false, actor: 'control' });
  for (const host of hosts) {
    const { agent } = await joinHost(state, declared.network, host);
    await state.registerInstances(agent.id, agent.services);
  }
  return current(state, declared.network);
}

export function current(state: StateStore, network = 'prod'): NetworkState {
  const found = state.current.networks.get(network);
  if (found === undefined) throw new Error(`no network ${network}`);
  return found;
}

export function agentOn(network: NetworkState, host: string): AgentState {
  const agent = network.agents.get(network.hosts.get(host) ?? '');
  if (agent === undefined) throw new Error(`no host ${host}`);
  return agent;
}

/** Every agent at HOST.example:7410, running all that it may, well. */
export function allWell(network: NetworkState): Presences {
  const well: InstanceHealth = { healthy: true, notListening: [] };
  return new Map(
    Array.from(network.agents.values(), ({ id, host, services }): [string, Presence] => [
      id,
      { endpoints: [`${host}.example:7410`], instances: new Map(services.map((name) => [name, well])) },
    ]),
  );
}
