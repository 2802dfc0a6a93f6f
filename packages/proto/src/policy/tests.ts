/** A mesh's own tests: verdicts that must come out, or the mesh is refused. */
import type { Mesh } from '../model/mesh.ts';
import { type FieldProblem, problem } from '../model/problem.ts';
import { findService, resolveSource } from '../model/selector.ts';
import { compilePolicy } from './compile.ts';
import type { Policy } from './types.ts';

/** Runs the tests of a valid mesh; one problem for each that comes out otherwise than expected. */
export function runPolicyTests(mesh: Mesh, policy?: Policy): FieldProblem[] {
  const evaluator = policy ?? compilePolicy({ revision: 0, defaultAction: mesh.defaultAction, rules: mesh.policies });
  return mesh.tests.flatMap((test, index) => {
    const source = resolveSource(test.from, mesh);
    const service = findService(mesh, test.service);
    if (source === undefined) return [problem(`tests[${index}].from`, `there is no caller ${test.from}`)];
    if (service === undefined) return [problem(`tests[${index}].to`, `there is no service ${test.service}`)];
    const verdict = evaluator.decide(source, { service, port: test.port, protocol: test.protocol });
    const got = verdict.allowed ? 'allow' : 'deny';
    if (got === test.expect) return [];
    return [problem(`tests[${index}]`, `expected ${test.expect}, got ${got} by ${verdict.rule}: ${verdict.reason}`)];
  });
}
