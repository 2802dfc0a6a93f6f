/** Roles both ways. One that is not known may permit anything to a newer sender, and is refused. */
import { AGENT_ROLE_WORDS, type AgentRole } from '../model/agent-role.ts';
import { roleCodec } from './enums.ts';
import { WireError } from './errors.ts';

export function rolesToWire(roles: readonly AgentRole[]): number[] {
  return roles.map((role) => roleCodec.toWire(role));
}

/** Sorted as in the table, without doubles. Throws WireError. */
export function rolesFromWire(numbers: readonly number[] | null | undefined, field: string): AgentRole[] {
  const given = numbers ?? [];
  if (given.length > AGENT_ROLE_WORDS.length) {
    throw new WireError('wire-range', field, `expected at most ${AGENT_ROLE_WORDS.length} roles`);
  }
  const roles = new Set(given.map((number, index) => roleCodec.fromWire(number, `${field}[${index}]`)));
  return AGENT_ROLE_WORDS.filter((role) => roles.has(role));
}
