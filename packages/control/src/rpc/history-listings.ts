/** Reach and revisions as the admin API tells them. */
import { actionCodec, type pb, portsToWire } from '@weft/proto/wire';
import type { Reach } from '../admin/reach.ts';
import type { Revision } from '../state/types.ts';

export function reachStatus({ source, ports, verdict, rule, reason }: Reach): pb.Reach {
  return { source, ports: portsToWire(ports), verdict: actionCodec.toWire(verdict), rule, reason };
}

export function revisionStatus({ revision, appliedMs, changes }: Revision): pb.RevisionStatus {
  return { revision, appliedMs, changes: changes.map((change) => ({ ...change })) };
}
