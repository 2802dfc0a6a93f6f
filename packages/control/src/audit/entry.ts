/** What the audit says of each act, and in which words. No secret is ever among them. */
import type { NewAuditRow } from '../store/rows.ts';
import type { Actor, AuditEntry } from './types.ts';

/** Who acts when control does it by itself. */
export const CONTROL = 'control';

/** Far more than any field needs; what strangers can make longer is cut. */
const LONGEST = 500;
/** Names written out in one entry. */
const NAMES_SHOWN = 10;

/** `admin 10.0.0.7`; `nobody 10.0.0.7` for who has no token of ours. */
export function actorName({
  role,
  address,
}: Pick<Actor, 'address'> & { readonly role: Actor['role'] | 'nobody' }): string {
  return `${role} ${address}`;
}

/** An entry, as much of it as there is. */
export type Act = Pick<AuditEntry, 'actor' | 'action'> & Partial<Omit<AuditEntry, 'sequence' | 'atMs'>>;

export function auditRow(act: Act, atMs: number): NewAuditRow {
  const { actor, action, network = '', subject = '', revision = 0, detail = '' } = act;
  return {
    atMs,
    actor: cut(actor),
    action: cut(action),
    network: cut(network),
    subject: cut(subject),
    revision,
    detail: cut(detail),
    refused: action.endsWith('-refused'),
  };
}

/** `3 agents: a, b, c`; of many the first ten by name, and nothing when there is none. */
export function listed(names: readonly string[], what: string): string {
  if (names.length === 0) return '';
  const more = names.length > NAMES_SHOWN ? ', …' : '';
  return `${counted(names.length, what)}: ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`;
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
