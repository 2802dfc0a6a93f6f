/** What a host may run: the one place that works it out, from what its tokens and grants say and from the mesh. */
import type { Mesh } from './mesh.ts';
import { serviceNameProblem } from './names.ts';
import { isKind } from './selector.ts';
import { byText, entryOf } from './values.ts';

const KIND = 'kind:';

/** What lets a host run something; `other` is told by a newer control alone. */
export const RIGHT_SOURCES = ['token', 'grant', 'mesh', 'other'] as const;

/** What is wrong with an entry of what a host may run: a service's name, `kind:KIND` or `*`. */
export function runnableProblem(entry: string): string | undefined {
  if (entry === '*' || (entry.startsWith(KIND) && isKind(entry.slice(KIND.length)))) return undefined;
  if (entry.includes(':')) return 'expected the name of a service, kind:web, kind:private, kind:worker or *';
  return serviceNameProblem(entry);
}

/** Why an entry lets nobody run anything in the mesh as it is. */
export function runsNothing(entry: string, { services }: Pick<Mesh, 'services'>): string | undefined {
  if (services.some(({ name, kind }) => entry === name || entry === '*' || entry === KIND + kind)) return undefined;
  if (entry === '*') return 'the mesh declares no service';
  return `the mesh declares no service ${entry.startsWith(KIND) ? `of kind ${entry.slice(KIND.length)}` : entry}`;
}

/**
 * Names of services, for a host and what its tokens and grants say: those that an entry names, whether the mesh declares them or
 * not, and the declared ones that `*` and `kind:KIND` stand for. Sorted, without doubles.
 */
export type RightOf = (host: string, granted: readonly string[]) => readonly string[];

const rights = new WeakMap<object, RightOf>();

/** For one mesh always the same, and for hosts that are let run the same one list. */
export function rightsIn(mesh: Pick<Mesh, 'services' | 'agents'>): RightOf {
  return entryOf(rights, mesh, () => makeRights(mesh));
}

function makeRights({ services, agents }: Pick<Mesh, 'services' | 'agents'>): RightOf {
  const said = new Map(agents.map((agent) => [agent.name, agent.services]));
  // Many hosts are let run the same.
  const made = new Map<string, readonly string[]>();
  return (host, granted) => {
    const entries = [...granted, ...(said.get(host) ?? [])];
    return entryOf(made, entries.join(), () => {
      const wide = new Set(entries.filter((entry) => entry === '*' || entry.startsWith(KIND)));
      const meant = wide.size === 0 ? [] : services.filter(({ kind }) => wide.has('*') || wide.has(KIND + kind));
      const named = entries.filter((entry) => !wide.has(entry));
      return [...new Set([...named, ...meant.map(({ name }) => name)])].sort(byText);
    });
  };
}
