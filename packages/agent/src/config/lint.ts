/** A file looked at as control or an agent would, without either. */
import { runPolicyTests, validateMesh } from '@weft/proto';
import { type AgentService, toAgentFile } from './agent-file.ts';
import { readYamlFile, type YamlFile } from './document.ts';
import { FileError, type FileProblem } from './errors.ts';
import type { FileSort } from './json-schema.ts';
import { toMeshFile } from './mesh-file.ts';

export interface Linted {
  readonly sort: FileSort;
  /** Likely mistakes, though not errors. */
  readonly warnings: readonly FileProblem[];
}

/** Throws FileError with every mistake, of a mesh file also the tests that fail. */
export async function lintFile(file: string): Promise<Linted> {
  const yaml = await readYamlFile(file);
  const sort = sortOf(yaml);
  if (sort === 'agent') {
    const { services } = toAgentFile(yaml);
    return { sort, warnings: isEmpty(yaml) ? [EMPTY] : weakMatches(yaml, services) };
  }
  const { mesh, problem } = toMeshFile(yaml);
  const failed = runPolicyTests(mesh);
  if (failed.length > 0)
    throw new FileError(
      'file-invalid',
      file,
      failed.map(({ field, message }) => problem(field, message)),
    );
  return { sort, warnings: validateMesh(mesh).warnings.map(({ field, message }) => problem(field, message)) };
}

/** Any user can copy a program under another's name, and run it. */
function weakMatches({ locate }: YamlFile, services: ReadonlyMap<string, AgentService>): FileProblem[] {
  return [...services].flatMap(([name, { match }]): FileProblem[] => {
    const { command, user, unit } = match ?? {};
    if (command === undefined || command.includes('/') || user !== undefined || unit !== undefined) return [];
    const words = `any user can run a file called ${command}, and be taken for ${name}`;
    const message = `services.${name}.match.command: ${words}; give its path, and user or unit beside it`;
    return [{ ...locate(['services', name, 'match', 'command']), message }];
  });
}

const MESH_KEYS = ['network', 'default', 'policies', 'tests', 'agents'];

/** Of no sort by itself; an agent takes it. */
const EMPTY: FileProblem = {
  ...{ line: 0, column: 0 },
  message: 'holds nothing: a host with it runs no service and only calls; as a mesh file it is refused',
};

function isEmpty({ value }: YamlFile): boolean {
  return value === null || value === undefined;
}

/** By what only a mesh file has; services with a kind are one whose network is missing. */
function sortOf({ value }: YamlFile): FileSort {
  if (value === null || value === undefined) return 'agent';
  if (typeof value !== 'object') return 'mesh';
  if (MESH_KEYS.some((key) => key in value)) return 'mesh';
  const services: unknown = 'services' in value ? value.services : undefined;
  const declared = typeof services === 'object' && services !== null ? Object.values(services) : [];
  return declared.some((entry: unknown) => typeof entry === 'object' && entry !== null && 'kind' in entry)
    ? 'mesh'
    : 'agent';
}
