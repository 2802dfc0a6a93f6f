/** Whether a mesh has more places to listen on than agents have files for: each declared port, on the service's address and each instance's. */
import { type FieldProblem, fileLimit, listed, type Mesh, mostListeners } from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts that the warning names. */
const NAMED = 8;

/** `network`: as it stands; undefined before the first apply. While no agent has told its limit, control's own stands for it. */
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
