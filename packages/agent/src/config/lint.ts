/** A file looked at as control or an agent would, without either. */
import { runPolicyTests, validateMesh } from '@weft/proto';
import { toAgentFile } from './agent-file.ts';
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
    toAgentFile(yaml);
    return { sort, warnings: [] };
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

const MESH_KEYS = ['network', 'default', 'policies', 'tests', 'agents'];

/** By what only a mesh file has; services with a kind are one whose network is missing. Throws FileError for one that says nothing. */
function sortOf({ file, value }: YamlFile): FileSort {
  if (value === null || value === undefined)
    throw new FileError('file-invalid', file, [{ line: 0, column: 0, message: 'holds nothing' }]);
  if (typeof value !== 'object') return 'mesh';
  if (MESH_KEYS.some((key) => key in value)) return 'mesh';
  const services: unknown = 'services' in value ? value.services : undefined;
  const declared = typeof services === 'object' && services !== null ? Object.values(services) : [];
  return declared.some((entry: unknown) => typeof entry === 'object' && entry !== null && 'kind' in entry)
    ? 'mesh'
    : 'agent';
}
