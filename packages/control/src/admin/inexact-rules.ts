/** Rules of a mesh that hosts do not enforce as they are written, for they run several services that nobody can tell apart. */
import {
  byText,
  entryOf,
  type FieldProblem,
  type InexactRule,
  InexactRules,
  inexactEffect,
  listed,
  type Mesh,
  problem,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetRuns, fleetTold, speaksAsHost, tagsByHost } from '../fleet/projection.ts';
import { mayRunIn } from '../state/may-run.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts and services that a warning names. */
const NAMED = 8;
/** Past so many the list says nothing new. */
const MOST_RULES = 100;

/** Hosts count by what they may run and run now, in the network as it stands; none does before the first apply. */
export function inexactRules(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents): FieldProblem[] {
  if (network === undefined) return [];
  const [mayRun, tags] = [mayRunIn(mesh, network), tagsByHost(mesh)];
  const declared = new Map(mesh.services.map((service) => [service.name, service]));
  const runsOn = fleetRuns(network, live);
  const index = new InexactRules(mesh.policies, mesh.defaultAction);
  // Many hosts are alike, and what they may run is then the same list.
  const alike = new Map<readonly string[], Map<string, readonly InexactRule[]>>();
  const found = new Map<number, { readonly hosts: string[]; readonly services: Set<string> }>();
  for (const { id, host } of network.agents.values()) {
    const names = mayRun(host);
    const runs = runsOn(id, names);
    const known = entryOf(alike, names, () => new Map());
    const told = fleetTold(live, id);
    const asHost = speaksAsHost(live, id);
    const inexact = entryOf(known, `${runs.join()} ${[...told].join()} ${asHost}`, () =>
      index.among(
        names.flatMap((name) => declared.get(name) ?? []),
        runs.filter((name) => declared.has(name)),
        told,
        asHost,
      ),
    );
    const own = inexact.length === 0 ? undefined : index.about({ name: host, tags: tags.get(host) ?? [] });
    for (const { place, services: named } of inexact) {
      if (own?.has(place)) continue;
      const entry = entryOf(found, place, () => ({ hosts: [], services: new Set<string>() }));
      entry.hosts.push(host);
      for (const name of named) entry.services.add(name);
    }
  }
  const told = [...found].sort(([one], [other]) => one - other);
  const warnings = told.slice(0, MOST_RULES).flatMap(([place, { hosts, services }]) => {
    const rule = mesh.policies[place];
    if (rule === undefined) return [];
    const effect = inexactEffect(rule, listed([...services].sort(byText), NAMED), listed(hosts.sort(byText), NAMED));
    const message = `rule ${rule.name} ${effect}; let match in the hosts' agent files tell their processes apart, give the service a host of its own, or name the hosts`;
    return [problem(`policies[${place}]`, message)];
  });
  const more = told.length - warnings.length;
  if (more > 0)
    warnings.push(problem('policies', `${more} more rules are not enforced as written, for the same reason`));
  return warnings;
}
