/** One entry of a mesh is put or taken away, and the rest stays as it is. */
import type { AgentSettings, FieldProblem, Mesh, Rule, Service } from '@weft/proto';
import { StateError } from './errors.ts';

/** `entry` is undefined when it is taken away. */
export type MeshEdit =
  | { readonly section: 'services'; readonly name: string; readonly entry: Service | undefined }
  | { readonly section: 'policies'; readonly name: string; readonly entry: Rule | undefined }
  | { readonly section: 'agents'; readonly name: string; readonly entry: AgentSettings };

/** What an entry of each section is called. */
const SORTS = { services: 'service', policies: 'policy', agents: 'agent' } as const;

/** In the words of the audit. */
export function actOf({ section, name, entry }: MeshEdit): { readonly action: string; readonly subject: string } {
  const sort = SORTS[section];
  return { action: `${sort}-${entry === undefined ? 'delete' : 'put'}`, subject: `${sort} ${name}` };
}

/** Throws StateError when what is to go is not there. */
export function edited(mesh: Mesh, edit: MeshEdit): Mesh {
  switch (edit.section) {
    case 'services':
      return { ...mesh, services: withEntry(mesh.services, edit, 'no-such-service', mesh.network) };
    case 'policies':
      return { ...mesh, policies: withEntry(mesh.policies, edit, 'no-such-policy', mesh.network) };
    case 'agents':
      return { ...mesh, agents: withSettings(mesh.agents, edit.entry) };
  }
}

function withEntry<T extends { readonly name: string }>(
  entries: readonly T[],
  {
    section,
    name,
    entry,
  }: { readonly section: keyof typeof SORTS; readonly name: string; readonly entry: T | undefined },
  absent: 'no-such-service' | 'no-such-policy',
  network: string,
): T[] {
  const place = entries.findIndex((held) => held.name === name);
  if (entry !== undefined) return place < 0 ? [...entries, entry] : entries.with(place, entry);
  if (place < 0) {
    throw new StateError(absent, `there is no ${SORTS[section]} ${name} in network ${network}`, [], {
      [SORTS[section]]: name,
    });
  }
  return entries.toSpliced(place, 1);
}

/** Settings that say nothing are none. */
function withSettings(held: readonly AgentSettings[], entry: AgentSettings): readonly AgentSettings[] {
  const place = held.findIndex(({ name }) => name === entry.name);
  if (entry.tags.length + entry.services.length === 0) return place < 0 ? held : held.toSpliced(place, 1);
  return place < 0 ? [...held, entry] : held.with(place, entry);
}

/** Who puts one entry knows nothing of its place in the whole: its own fields are named by its sort. */
export function fieldsOfEdit({ section, name }: MeshEdit, mesh: Mesh): (problem: FieldProblem) => FieldProblem {
  const place = mesh.policies.findIndex((rule) => rule.name === name);
  const whole = section === 'policies' ? `policies[${place}]` : `${section}.${name}`;
  return ({ field, message }) => {
    const rest = field.slice(whole.length);
    const isOwn = field.startsWith(whole) && (rest === '' || rest.startsWith('.') || rest.startsWith('['));
    return { field: isOwn ? `${SORTS[section]}${rest}` : field, message };
  };
}
