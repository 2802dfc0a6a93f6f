/** Answers about flows: what ended, what is open, and what would become of one. */
import { ACTIONS, BREAK_POINTS, FLOW_OUTCOMES, type FlowRecord, PROTOCOLS } from '@weft/proto';
import type { ToldOpenFlow } from '@weft/proto/wire';
import { z } from 'zod';
import type { ExplainAnswer } from '../../observe/local-question.ts';
import type { RuleOrigin } from '../rule-origin.ts';
import { actor, bytes, count, list, port, protocol, revision, spanMs, text, texts, timeMs, told } from './form.ts';

const ends = {
  id: text.describe('16 hexadecimal digits'),
  startedMs: timeMs,
  source: text.describe('who called: a service, host:NAME or internet'),
  sourceHost: text,
  service: text.describe('what was called'),
  instance: text.describe('such as redis/0; empty when none was reached'),
  destinationHost: text,
  port,
  protocol,
  bytesSent: bytes.describe('from the caller'),
  bytesReceived: bytes.describe('to the caller'),
  user: text.describe('of the process that called; empty where it was not looked up, as unit and program'),
  unit: text.describe('systemd unit of that process'),
  program: text.describe("path of that process's program"),
};

export const ended = told({
  ...ends,
  durationMs: spanMs,
  verdict: z.enum(ACTIONS),
  rule: text.describe('that decided'),
  revision: revision.describe('of the rules that it was judged by'),
  outcome: z.enum([...FLOW_OUTCOMES]),
  zone: text.describe('of the host that recorded it; empty when its file does not say'),
  detail: text.describe('why, in words; empty when there is nothing to say'),
} satisfies Record<keyof FlowRecord, z.ZodType>);

const open = told({
  ...ends,
  idleMs: spanMs.describe('milliseconds since the last byte either way'),
} satisfies Record<keyof ToldOpenFlow, z.ZodType>);

/** A line each; the second with `--open`. */
export const flows = z.union([ended, open]);

const rule = told({ name: text, action: z.enum(ACTIONS), from: texts, to: texts, ports: texts });

const origin = told({
  rule: text,
  file: text.describe('base name of the mesh file that the newest apply of one had it in; empty: not known'),
  line: count.describe('of that file, from 1; 0: not known'),
  revision: count.describe('that made it what it is; 0: not known'),
  setMs: timeMs,
  actor: actor.nullable().describe('who set it; null: not known'),
} satisfies Record<keyof RuleOrigin, z.ZodType>);

export const explain = told({
  from: text.describe('with --pid, pid:NUMBER'),
  process: told({
    pid: count,
    user: text.describe('empty where it is not known, as unit and program'),
    unit: text,
    program: text,
    service: text.describe('that it is of; empty: it speaks as its host'),
  } satisfies Record<keyof NonNullable<ExplainAnswer['process']>, z.ZodType>)
    .nullable()
    .describe('the process that was asked about; null: none was'),
  to: told({ service: text, port, protocol: z.enum(PROTOCOLS) }),
  verdict: z.enum(ACTIONS),
  rule: text.describe('that decided'),
  revision,
  reason: text,
  breakPoint: z
    .enum([...BREAK_POINTS, 'other'])
    .describe(
      'where it would break; none: it was tried and would work; not-tried: nothing speaks against it, and nobody was there to try',
    ),
  steps: list(text).describe('what was looked at, in words'),
  refusedHosts: texts.describe('hosts of the caller from which it would not work'),
  untriedHosts: texts.describe('hosts of the caller from which it was not tried, where it would work from others'),
  decidingRule: rule.nullable().describe('null: the default or a built-in rule decided'),
  decidingRuleOrigin: origin.nullable().describe('null: no rule decided, or it is not told'),
  remedy: told({
    denies: texts.describe('rules that deny it, the first of them: each has to go, or to speak of less'),
    deniesCount: count,
    deniesOrigins: list(origin).describe('where those of denies come from, in the same order'),
    rule: rule.nullable().describe('permits it and nothing else, once none denies it; null: none has to be added'),
  })
    .nullable()
    .describe('what would permit it; null: it is permitted, or no rule can'),
});
