/** Asks the tunnel for a flow past the policy: tests of what is below it do, and so would an agent that was tampered with. */
import type { Permit } from '@weft/proto';
import type { FlowTarget, OpenRequest } from '../src/words/opening.ts';

/** A permit that no evaluator gave, and where it leads. */
export function forged(agentId: string, request: OpenRequest): readonly [permit: Permit, target: FlowTarget] {
  const { flowId, ordinal, source, service, port, protocol } = request;
  const destination = { service: { name: service }, port, protocol };
  return [{ destination } as unknown as Permit, { agentId, flowId, ordinal, source }];
}
