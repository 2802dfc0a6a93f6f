/** What a mesh that is well written may not mean, as the network's hosts are: more places to listen on than they have files for, callers whom none has. */
import {
  entryOf,
  type FieldProblem,
  fileLimit,
  listed,
  type Mesh,
  mostListeners,
  problem,
  type Rule,
  userOf,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetRuns, speaksAsHost } from '../fleet/projection.ts';
import { mayRunIn } from '../state/may-run.ts';
import { firstOf } from '../state/meshes.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts that a warning names. */
const NAMED = 8;
/** Past so many the list says nothing new. */
const MOST = 100;

/**
 * Each declared port is listened at on the service's address and each instance's. `network`: as it stands; undefined before the first apply. While no agent has told its limit, control's own stands for it.
 */
export function listenerWarnings(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents): FieldProblem[] {
  const instances = Map.groupBy(network?.instances.values() ?? [], ({ service }) => service);
  let places = 0;
  for (const { name, kind, ports } of mesh.services) {
    if (kind === 'worker') continue;
    const declared = ports.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    places += declared * (1 + (instances.get(name)?.length ?? 0));
  }
  const told = [...(network?.agents.values() ?? [])].flatMap(({ id, host }) => {
    const most = live.agent(id)?.report?.listeners ?? 0;
    return most === 0 ? [] : [{ host, most }];
  });
  const own = fileLimit();
  const known = told.length > 0 ? told : [{ host: `a host of ${own} files`, most: mostListeners(own) }];
  const short = known.filter(({ most }) => most < places).sort((one, other) => one.most - other.most);
  if (short.length === 0) return [];
  const named = short.map(({ host, most }) => `${host} (${most})`);
  const message =
    `each agent listens on every declared port of every service and instance, ${places} places in all; ${listed(named, NAMED)} ` +
    'can hold fewer beside the flows, and will refuse calls to the rest; raise their limit (ulimit -n), or declare fewer ports';
  return [{ field: 'services', message }];
}

/** Whom records of the network's flows name. */
export type UsersTold = (network: string) => ReadonlySet<string>;

/** Selectors of callers to whom nobody in the network answers now, as far as hosts tell. */
export function unmetCallers(
  mesh: Mesh,
  network: NetworkState | undefined,
  live: LiveAgents,
  told: UsersTold,
): FieldProblem[] {
  return [
    ...firstOf(ofOneService(mesh, network, live), MOST, 'hosts that speak as their one service'),
    ...firstOf(untoldUsers(mesh, network, live, told), MOST, 'users of whom no host tells'),
  ];
}

/** A host that speaks as its one service has no programs that speak as the host. */
function ofOneService(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents): FieldProblem[] {
  if (network === undefined) return [];
  const [mayRun, runsOn] = [mayRunIn(mesh, network), fleetRuns(network, live)];
  const speaksAs = (host: string): string | undefined => {
    const id = network.hosts.get(host);
    // What an agent that has not spoken since control began says of its processes nobody knows.
    if (id === undefined || live.agent(id)?.report === undefined || speaksAsHost(live, id)) return undefined;
    const runs = runsOn(id, mayRun(host));
    return runs.length === 1 ? runs[0] : undefined;
  };
  const tagged = new Map<string, string[]>();
  for (const { name, tags } of mesh.agents) for (const tag of tags) entryOf(tagged, tag, () => []).push(name);
  const ofServices = new Set(mesh.services.flatMap(({ tags }) => tags));
  const about = (selector: string, field: string, effect: string): FieldProblem[] => {
    const [sort, name = ''] = selector.split(':');
    if (sort !== 'host' && (sort !== 'tag' || ofServices.has(name))) return [];
    const hosts = (sort === 'host' ? [name] : (tagged.get(name) ?? [])).filter((host) => network.hosts.has(host));
    const as = hosts.flatMap((host) => speaksAs(host) ?? []);
    if (hosts.length === 0 || as.length < hosts.length) return [];
    const words = listed([...new Set(as)], NAMED);
    const who =
      hosts.length === 1
        ? `${hosts[0]} runs ${words} alone and speaks as it`
        : `${listed(hosts, NAMED)} each run one service and speak as it (${words})`;
    return [
      problem(
        field,
        `${who}, so ${effect}; name the service, or say by match in the agent file how its processes are known`,
      ),
    ];
  };
  return [
    ...mesh.policies.flatMap(({ from }, rule) =>
      from.flatMap((text, index) => about(text, `policies[${rule}].from[${index}]`, 'this selects nothing')),
    ),
    ...mesh.tests.flatMap(({ from }, index) => about(from, `tests[${index}].from`, 'this tests for nobody')),
  ];
}

/** Which users a host has nobody tells control, but for those of whom a call or a sandbox was told. Asked of callers that are new in a rule. */
function untoldUsers(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents, told: UsersTold): FieldProblem[] {
  const keyOf = ({ name }: Rule, caller: string): string => JSON.stringify([name, caller]);
  const held = new Set(network?.mesh.policies.flatMap((rule) => rule.from.map((text) => keyOf(rule, text))));
  const named = mesh.policies.flatMap((rule, place) =>
    rule.from.flatMap((text, index) => {
      const user = userOf(text);
      const isNew = user !== undefined && !held.has(keyOf(rule, text));
      return isNew ? [{ user, field: `policies[${place}].from[${index}]` }] : [];
    }),
  );
  if (named.length === 0) return [];
  const known = new Set(told(mesh.network));
  for (const { id } of network?.agents.values() ?? [])
    for (const { user } of live.agent(id)?.report?.sandboxes ?? []) known.add(user);
  return named
    .filter(({ user }) => !known.has(user))
    .map(({ user, field }) => {
      const message =
        `the newest flows have no process of user ${user}, and which users hosts have control does not know: until there is one this selects nothing; ` +
        `see that it is spelt as in /etc/passwd there (on a host: weft explain user:${user} SERVICE:PORT)`;
      return problem(field, message);
    });
}
