/** What the admin service tells of what was changed, when and by whom. */
import { ACTOR_KINDS } from '@weft/proto';
import { actorKindCodec, changeOperationCodec, type pb, timestampToWire } from '@weft/proto/wire';
import type { AuditEntry } from '../audit/types.ts';
import type { Change, OlderData, Revision } from '../state/types.ts';

export function changesToWire(changes: readonly Change[]): pb.Change[] {
  return changes.map(({ operation, ...change }) => ({ ...change, operation: changeOperationCodec.toWire(operation) }));
}

export function revisionStatus({ revision, appliedMs, changes }: Revision): pb.Outgoing<pb.Revision> {
  return { revision, applyTime: timestampToWire(appliedMs), changes: changesToWire(changes) };
}

export function auditEntry({ atMs, actor, ...entry }: AuditEntry): pb.Outgoing<pb.AuditEntry> {
  return { ...entry, time: timestampToWire(atMs), actor: actorToWire(actor) };
}

/** It is kept as `admin 10.0.0.7`. */
function actorToWire(actor: string): pb.Actor {
  const [word = '', name = ''] = actor.split(' ');
  const kind = ACTOR_KINDS.find((known) => known === word);
  return { kind: kind === undefined ? 0 : actorKindCodec.toWire(kind), name };
}

export function olderDataStatus({ revision, hosts, sinceMs }: OlderData): pb.Outgoing<pb.OlderData> {
  return { revision, hosts, sinceTime: timestampToWire(sinceMs) };
}
