/** The policy of a network as it is asked about: compiled once for each mesh, by the evaluator that agents enforce with. */
import { compilePolicy, type Mesh, type Policy } from '@weft/proto';
import type { NetworkState } from '../state/types.ts';

export type PolicyOf = (network: Pick<NetworkState, 'mesh' | 'revision'>) => Policy;

export function policyCache(): PolicyOf {
  const policies = new WeakMap<Mesh, Policy>();
  return ({ mesh, revision }) => {
    let policy = policies.get(mesh);
    if (policy?.revision !== revision) {
      policy = compilePolicy({ revision, defaultAction: mesh.defaultAction, rules: mesh.policies });
      policies.set(mesh, policy);
    }
    return policy;
  };
}
