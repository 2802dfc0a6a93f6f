/** What stands between a mesh and being accepted. */
import { type FieldProblem, type Mesh, runPolicyTests, validateMesh } from '@weft/proto';
import { StateError } from './errors.ts';

/** Likely mistakes of a mesh that is good. Throws StateError `invalid` or `tests-failed`, with every field that is not. */
export function checkMesh(mesh: Mesh): readonly FieldProblem[] {
  const { errors, warnings } = validateMesh(mesh);
  if (errors.length > 0) {
    throw new StateError('invalid', `the mesh is wrong in ${places(errors)}; nothing was changed`, errors);
  }
  const failures = runPolicyTests(mesh);
  if (failures.length > 0) {
    throw new StateError('tests-failed', `the mesh fails ${places(failures)}; nothing was changed`, failures);
  }
  return warnings;
}

/** The first problem in full, and how many more there are. */
function places(problems: readonly FieldProblem[]): string {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return `${first?.field}: ${first?.message}${more}`;
}
