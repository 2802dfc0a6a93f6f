/** Enumerations both ways. An unknown or unspecified number is refused: it may mean anything to a newer sender. */
import { AGENT_ROLE_WORDS, type AgentRole as Role } from '../model/agent-role.ts';
import { ACTOR_KINDS, CHANGE_OPERATIONS } from '../model/change.ts';
import { BREAK_POINTS } from '../model/explain.ts';
import { ACTIONS, KINDS, PROTOCOLS } from '../model/mesh.ts';
import { FLOW_OUTCOMES } from '../model/outcome.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';

export interface EnumCodec<Word extends string> {
  toWire(word: Word): number;
  /** Throws WireError `wire-enum`. */
  fromWire(value: number | null | undefined, field: string): Word;
}

/** Numbers as generated code names them: `no-instance` of FLOW_OUTCOME is FLOW_OUTCOME_NO_INSTANCE. */
function enumCodec<Word extends string>(
  prefix: string,
  numbers: Readonly<Record<string, number | string>>,
  known: readonly Word[],
): EnumCodec<Word> {
  const byWord = new Map(known.map((word) => [word, numberOf(word)]));
  const words = new Map(Array.from(byWord, ([word, number]) => [number, word]));
  const expected = `expected ${known.join(', ')}`;
  return {
    toWire: (word) => byWord.get(word) ?? 0,
    fromWire: (value, field) => {
      const word = words.get(value ?? 0);
      if (word === undefined)
        throw new WireError('wire-enum', field, value ? `unknown value ${value}; ${expected}` : `not set; ${expected}`);
      return word;
    },
  };

  function numberOf(word: Word): number {
    const number = numbers[`${prefix}_${word.toUpperCase().replaceAll('-', '_')}`];
    if (typeof number !== 'number') throw new RangeError(`${prefix} has no ${word}`);
    return number;
  }
}

const { Action, ActorKind, AgentRole, BreakPoint, ChangeOperation, FlowOutcome, Kind, Protocol } = weft.v1;

export const kindCodec = enumCodec('KIND', Kind, KINDS);
export const protocolCodec = enumCodec('PROTOCOL', Protocol, PROTOCOLS);
export const ruleProtocolCodec = enumCodec('PROTOCOL', Protocol, [...PROTOCOLS, 'any']);
export const actionCodec = enumCodec('ACTION', Action, ACTIONS);
export const roleCodec = enumCodec('AGENT_ROLE', AgentRole, AGENT_ROLE_WORDS);
export const outcomeCodec = enumCodec('FLOW_OUTCOME', FlowOutcome, FLOW_OUTCOMES);
export const changeOperationCodec = enumCodec('CHANGE_OPERATION', ChangeOperation, CHANGE_OPERATIONS);
export const actorKindCodec = enumCodec('ACTOR_KIND', ActorKind, ACTOR_KINDS);
export const breakPointCodec = enumCodec('BREAK_POINT', BreakPoint, BREAK_POINTS);

/** Roles both ways. One that is not known may permit anything to a newer sender, and is refused. */
export function rolesToWire(roles: readonly Role[]): number[] {
  return roles.map((role) => roleCodec.toWire(role));
}

/** Sorted as in the table, without doubles. Throws WireError. */
export function rolesFromWire(numbers: readonly number[] | null | undefined, field: string): Role[] {
  const given = numbers ?? [];
  if (given.length > AGENT_ROLE_WORDS.length) {
    throw new WireError('wire-range', field, `expected at most ${AGENT_ROLE_WORDS.length} roles`);
  }
  const roles = new Set(given.map((number, index) => roleCodec.fromWire(number, `${field}[${index}]`)));
  return AGENT_ROLE_WORDS.filter((role) => roles.has(role));
}
