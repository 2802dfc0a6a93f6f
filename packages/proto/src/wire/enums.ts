/**
 * Enumerations both ways. A number that this version does not know may mean anything to a newer sender: where it only tells, it is
 * read as `other`; where it permits, it is no word, and the reader fails closed. One that is not set is refused.
 */
import { AGENT_ROLE_WORDS, type AgentRole as Role } from '../model/agent-role.ts';
import { ACTOR_KINDS, CHANGE_OPERATIONS } from '../model/change.ts';
import { BREAK_POINTS } from '../model/explain.ts';
import { PLACE_OUTCOMES } from '../model/exposed.ts';
import { WIRE_LIMITS } from '../model/limits.ts';
import { RIGHT_SOURCES } from '../model/may-run.ts';
import { ACTIONS, KINDS, PROTOCOLS, REPORTED_PROTOCOLS } from '../model/mesh.ts';
import { OPEN_FLOWS_STATES } from '../model/open-flow.ts';
import { FLOW_OUTCOMES } from '../model/outcome.ts';
import { list } from './check.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';

export interface EnumCodec<Word extends string> {
  toWire(word: Word): number;
  /** Throws WireError `wire-enum`. */
  fromWire(value: number | null | undefined, field: string): Word;
  /** Undefined for a number of a newer version. Throws WireError `wire-enum` for one that is not set, or means something else. */
  knownFromWire(value: number | null | undefined, field: string): Word | undefined;
}

/** Numbers as generated code names them: `no-instance` of FLOW_OUTCOME is FLOW_OUTCOME_NO_INSTANCE. */
function enumCodec<Word extends string>(
  prefix: string,
  numbers: Readonly<Record<string, number | string>>,
  known: readonly Word[],
): EnumCodec<Word> {
  const byWord = new Map(known.map((word) => [word, numberOf(word)]));
  const words = new Map(Array.from(byWord, ([word, number]) => [number, word]));
  const taken = new Set(Object.values(numbers));
  const expected = `expected ${known.join(', ')}`;
  return {
    toWire: (word) => byWord.get(word) ?? 0,
    fromWire: (value, field) => {
      const word = knownFromWire(value, field);
      if (word === undefined) throw new WireError('wire-enum', field, `unknown value ${value}; ${expected}`);
      return word;
    },
    knownFromWire,
  };

  function knownFromWire(value: number | null | undefined, field: string): Word | undefined {
    if (!value) throw new WireError('wire-enum', field, `not set; ${expected}`);
    const word = words.get(value);
    if (word === undefined && taken.has(value))
      throw new WireError('wire-enum', field, `${value} is not for here; ${expected}`);
    return word;
  }

  function numberOf(word: Word): number {
    const number = numbers[`${prefix}_${word.toUpperCase().replaceAll('-', '_')}`];
    if (typeof number !== 'number') throw new RangeError(`${prefix} has no ${word}`);
    return number;
  }
}

const { Action, ActorKind, AgentRole, AgentView, BreakPoint, ChangeOperation, FlowOutcome } = weft.v1;
const { Kind, OpenFlowsState, PlaceOutcome, Protocol, RightSource } = weft.v1;

export const kindCodec = enumCodec('KIND', Kind, KINDS);
export const protocolCodec = enumCodec('PROTOCOL', Protocol, PROTOCOLS);
export const ruleProtocolCodec = enumCodec('PROTOCOL', Protocol, [...PROTOCOLS, 'any']);
export const reportedProtocolCodec = enumCodec('PROTOCOL', Protocol, REPORTED_PROTOCOLS);
export const actionCodec = enumCodec('ACTION', Action, ACTIONS);
export const roleCodec = enumCodec('AGENT_ROLE', AgentRole, AGENT_ROLE_WORDS);
export const outcomeCodec = enumCodec('FLOW_OUTCOME', FlowOutcome, FLOW_OUTCOMES);
export const changeOperationCodec = enumCodec('CHANGE_OPERATION', ChangeOperation, CHANGE_OPERATIONS);
export const actorKindCodec = enumCodec('ACTOR_KIND', ActorKind, ACTOR_KINDS);
/** How much of an agent a listing tells. */
export const agentViewCodec = enumCodec('AGENT_VIEW', AgentView, ['basic', 'full']);
export const breakPointCodec = enumCodec('BREAK_POINT', BreakPoint, BREAK_POINTS);
export const rightSourceCodec = enumCodec('RIGHT_SOURCE', RightSource, RIGHT_SOURCES);
export const placeOutcomeCodec = enumCodec('PLACE_OUTCOME', PlaceOutcome, PLACE_OUTCOMES);
export const openFlowsStateCodec = enumCodec('OPEN_FLOWS_STATE', OpenFlowsState, OPEN_FLOWS_STATES);

/** What only tells: a number of a newer version is `other`. Throws WireError `wire-enum` where it is not set. */
export function toldFromWire<Word extends string>(
  codec: EnumCodec<Word | 'other'>,
  value: number | null | undefined,
  field: string,
): Word | 'other' {
  return codec.knownFromWire(value, field) ?? 'other';
}

export function rolesToWire(roles: readonly Role[]): number[] {
  return roles.map((role) => roleCodec.toWire(role));
}

/** Roles that are asked for: sorted as in the table, without doubles. Throws WireError for one that is not known. */
export function rolesFromWire(numbers: readonly number[] | null | undefined, field: string): Role[] {
  const given = numbers ?? [];
  if (given.length > AGENT_ROLE_WORDS.length) {
    throw new WireError('wire-range', field, `expected at most ${AGENT_ROLE_WORDS.length} roles`);
  }
  return sortedRoles(list(given, field, given.length, (number, at) => roleCodec.fromWire(number, at)));
}

/** Roles that control grants. One that is not known grants nothing. Throws WireError. */
export function rolesGranted(numbers: readonly number[] | null | undefined, field: string): Role[] {
  return sortedRoles(list(numbers, field, WIRE_LIMITS.roles, (number, at) => roleCodec.knownFromWire(number, at)));
}

function sortedRoles(given: readonly (Role | undefined)[]): Role[] {
  return AGENT_ROLE_WORDS.filter((role) => given.includes(role));
}
