/** Enumerations both ways. An unknown or unspecified number is refused: it may mean anything to a newer sender. */
import { AGENT_ROLE_WORDS, type AgentRole } from '../model/agent-role.ts';
import type { BreakPoint } from '../model/explain.ts';
import type { Action, Kind, Protocol, RulePorts } from '../model/mesh.ts';
import type { FlowOutcome } from '../model/outcome.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';

export interface EnumCodec<Word extends string> {
  toWire(word: Word): number;
  /** Throws WireError `wire-enum`. */
  fromWire(value: number | null | undefined, field: string): Word;
}

function enumCodec<Word extends string>(numbers: Readonly<Record<Word, number>>): EnumCodec<Word> {
  const words = new Map<number, Word>();
  for (const word of Object.keys(numbers) as Word[]) words.set(numbers[word], word);
  const expected = `expected ${[...words.values()].join(', ')}`;
  return {
    toWire: (word) => numbers[word],
    fromWire: (value, field) => {
      const word = words.get(value ?? 0);
      if (word === undefined)
        throw new WireError('wire-enum', field, value ? `unknown value ${value}; ${expected}` : `not set; ${expected}`);
      return word;
    },
  };
}

const v1 = weft.v1;

export const kindCodec: EnumCodec<Kind> = enumCodec<Kind>({
  web: v1.Kind.KIND_WEB,
  private: v1.Kind.KIND_PRIVATE,
  worker: v1.Kind.KIND_WORKER,
});

export const protocolCodec: EnumCodec<Protocol> = enumCodec<Protocol>({
  tcp: v1.Protocol.PROTOCOL_TCP,
  udp: v1.Protocol.PROTOCOL_UDP,
});

export const ruleProtocolCodec: EnumCodec<RulePorts['protocol']> = enumCodec<RulePorts['protocol']>({
  tcp: v1.Protocol.PROTOCOL_TCP,
  udp: v1.Protocol.PROTOCOL_UDP,
  any: v1.Protocol.PROTOCOL_ANY,
});

export const actionCodec: EnumCodec<Action> = enumCodec<Action>({
  allow: v1.Action.ACTION_ALLOW,
  deny: v1.Action.ACTION_DENY,
});

export const roleCodec: EnumCodec<AgentRole> = enumCodec<AgentRole>({
  gateway: v1.AgentRole.AGENT_ROLE_GATEWAY,
});

export const outcomeCodec: EnumCodec<FlowOutcome> = enumCodec<FlowOutcome>({
  closed: v1.FlowOutcome.FLOW_OUTCOME_CLOSED,
  reset: v1.FlowOutcome.FLOW_OUTCOME_RESET,
  denied: v1.FlowOutcome.FLOW_OUTCOME_DENIED,
  cut: v1.FlowOutcome.FLOW_OUTCOME_CUT,
  'no-instance': v1.FlowOutcome.FLOW_OUTCOME_NO_INSTANCE,
  'not-listening': v1.FlowOutcome.FLOW_OUTCOME_NOT_LISTENING,
  unreachable: v1.FlowOutcome.FLOW_OUTCOME_UNREACHABLE,
  overloaded: v1.FlowOutcome.FLOW_OUTCOME_OVERLOADED,
  unanswered: v1.FlowOutcome.FLOW_OUTCOME_UNANSWERED,
});

export const breakPointCodec: EnumCodec<BreakPoint> = enumCodec<BreakPoint>({
  none: v1.BreakPoint.BREAK_POINT_NONE,
  'no-such-source': v1.BreakPoint.BREAK_POINT_NO_SUCH_SOURCE,
  'no-such-name': v1.BreakPoint.BREAK_POINT_NO_SUCH_NAME,
  denied: v1.BreakPoint.BREAK_POINT_DENIED,
  'no-listener': v1.BreakPoint.BREAK_POINT_NO_LISTENER,
  'no-healthy-instance': v1.BreakPoint.BREAK_POINT_NO_HEALTHY_INSTANCE,
  'not-listening': v1.BreakPoint.BREAK_POINT_NOT_LISTENING,
  unreachable: v1.BreakPoint.BREAK_POINT_UNREACHABLE,
});

/** Roles both ways. One that is not known may permit anything to a newer sender, and is refused. */
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
