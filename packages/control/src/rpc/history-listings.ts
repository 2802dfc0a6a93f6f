/** What the admin service tells of what was changed, when and by whom. */
import { ACTOR_KINDS, defined } from '@weft/proto';
import { actorKindCodec, changeOperationCodec, type pb, timestampToWire } from '@weft/proto/wire';
import type { AuditEntry, AuditLog } from '../audit/types.ts';
import type { Change, OlderData, Revision, RuleOrigin, StateStore } from '../state/types.ts';
import { type Page, type PageRequest, pageOf, readPage } from './page.ts';

export function changesToWire(changes: readonly Change[]): pb.Change[] {
  return changes.map(({ operation, ...change }) => ({ ...change, operation: changeOperationCodec.toWire(operation) }));
}

/** Newest first. Throws RequestError, as the other does. */
export async function listRevisions(
  state: Pick<StateStore, 'revisions'>,
  network: string,
  request: PageRequest,
): Promise<pb.Outgoing<pb.Message<'ListRevisionsResponse'>>> {
  const asked = readPage(request, { of: ['revisions', network], form: [0] });
  // One more than the page has tells whether there is another page.
  const found = await state.revisions(network, asked.size + 1, oldestOf(asked));
  const { page, nextPageToken } = pageOf(found, asked, {
    key: ({ revision }) => [-revision],
    tell: revisionStatus,
    weigh: ({ changes = [] }) => 1 + changes.length,
  });
  return { revisions: page, nextPageToken };
}

/** Newest first: of the network and of none, or of all when it is empty. */
export async function listAudit(
  audit: Pick<AuditLog, 'list'>,
  network: string,
  request: PageRequest,
): Promise<pb.Outgoing<pb.Message<'ListAuditResponse'>>> {
  const asked = readPage(request, { of: ['audit', network], form: [0] });
  const before = oldestOf(asked);
  const found = await audit.list({ network, limit: asked.size + 1, ...defined({ before }) });
  const { page, nextPageToken } = pageOf(found, asked, { key: ({ sequence }) => [-sequence], tell: auditEntry });
  return { entries: page, nextPageToken };
}

/** What the page before ended with. */
function oldestOf({ after }: Page): number | undefined {
  return after === undefined ? undefined : -Number(after[0]);
}

function revisionStatus({ revision, appliedMs, changes }: Revision): pb.Outgoing<pb.Revision> {
  return { revision, applyTime: timestampToWire(appliedMs), changes: changesToWire(changes) };
}

function auditEntry({ atMs, actor, ...entry }: AuditEntry): pb.Outgoing<pb.AuditEntry> {
  return { ...entry, time: timestampToWire(atMs), actor: actorToWire(actor) };
}

/** It is kept as `admin 10.0.0.7`. */
function actorToWire(actor: string): pb.Actor {
  const [word = '', name = ''] = actor.split(' ');
  const kind = ACTOR_KINDS.find((known) => known === word);
  return { kind: kind === undefined ? 0 : actorKindCodec.toWire(kind), name };
}

/** What is known of it. Addresses that others come from are in the audit, and for who may see that: `named`. */
export function originToWire(
  rule: string,
  origin: RuleOrigin | undefined,
  named: boolean,
): pb.Outgoing<pb.Message<'RuleOrigin'>> {
  if (origin === undefined) return { rule };
  const { revision, setMs, actor, file, line } = origin;
  if (revision === 0) return { rule, file, line };
  const { kind, name } = actorToWire(actor);
  const who = { kind, name: named ? name : '' };
  return { rule, file, line, revision, setTime: timestampToWire(setMs), actor: who };
}

export function olderDataStatus({ revision, hosts, sinceMs }: OlderData): pb.Outgoing<pb.OlderData> {
  return { revision, hosts, sinceTime: timestampToWire(sinceMs) };
}
