/** Rules of a mesh that hosts do not enforce as they are written, for they run several services that nobody can tell apart. */
import { entryOf, type FieldProblem, InexactRules, inexactEffect, listed, type Mesh, problem } from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetInstances, tagsByHost } from '../fleet/projection.ts';
import { byText } from '../order.ts';
import { mayRunIn } from '../state/may-run.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts and services that a warning names. */
const NAMED = 8;

/** Hosts count by what they may run and run now, in the network as it stands; none does before the first apply. */
export function inexactRules(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents): FieldProblem[] {
  if (network === undefined) return [];
  const [mayRun, tags] = [mayRunIn(mesh, network), tagsByHost(mesh)];
  const declared = new Map(mesh.services.map((service) => [service.name, service]));
  const running = Map.groupBy(fleetInstances(network, live), ({ instance }) => instance.agentId);
  const index = new InexactRules(mesh.policies, mesh.defaultAction);
  const alike = new Map<string, ReturnType<InexactRules['among']>>();
  const found = new Map<number, { readonly hosts: string[]; readonly services: Set<string> }>();
  for (const { id, host } of network.agents.values()) {
    const services = mayRun(host).flatMap((name) => declared.get(name) ?? []);
    const runs = (running.get(id) ?? []).map(({ instance }) => instance.service).filter((name) => declared.has(name));
    // Many hosts are alike, and each may run every service.
    const key = `${services.map(({ name }) => name).join()} ${runs.join()}`;
    const inexact = entryOf(alike, key, () => index.among(services, runs));
    const own = inexact.length === 0 ? undefined : index.about({ name: host, tags: tags.get(host) ?? [] });
    for (const { place, services: named } of inexact) {
      if (own?.has(place)) continue;
      const entry = entryOf(found, place, () => ({ hosts: [], services: new Set<string>() }));
      entry.hosts.push(host);
      for (const name of named) entry.services.add(name);
    }
  }
  return [...found]
    .sort(([one], [other]) => one - other)
    .flatMap(([place, { hosts, services }]) => {
      const rule = mesh.policies[place];
      if (rule === undefined) return [];
      const effect = inexactEffect(rule, listed([...services].sort(byText), NAMED), listed(hosts.sort(byText), NAMED));
      return [problem(`policies[${place}]`, `${effect}; give the service a host of its own, or name the hosts`)];
    });
}
