/**
 * The verdict on one flow and where it would break, from the caller to the target: is there such a caller, such a name, a
 * permission, a healthy instance, a listener, a way. The verdict is the evaluator's that agents enforce with.
 */
import {
  type Action,
  type BreakPoint,
  type DestinationName,
  formatPortRange,
  type Remedy,
  type Rule,
  remedyOf,
  resolveSource,
  type Source,
  type Verdict,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import type { PathTracer } from '../fleet/questions.ts';
import { mayRunIn } from '../state/may-run.ts';
import type { NetworkState } from '../state/types.ts';
import { findPath } from './explain-path.ts';
import { type PolicyOf, policyCache } from './policy-cache.ts';

export interface ExplainQuestion extends DestinationName {
  /** A service name, `host:NAME` or `internet`. */
  readonly from: string;
}

export interface Explanation extends Pick<Verdict, 'rule' | 'revision' | 'reason'> {
  readonly verdict: Action;
  readonly breakPoint: BreakPoint;
  /** What was found on the way, one sentence a step. */
  readonly steps: readonly string[];
  /** The caller's hosts where it is refused all the same, when it would work from others. */
  readonly refusedHosts: readonly string[];
  /** Undefined where the default or a built-in rule decided. */
  readonly decidingRule?: Rule | undefined;
  /** Undefined where it is permitted, and where no rule can permit it. */
  readonly remedy?: Remedy | undefined;
}

export type Explain = (network: NetworkState, question: ExplainQuestion, signal: AbortSignal) => Promise<Explanation>;

export interface ExplainOptions {
  readonly live: LiveAgents;
  readonly tracer: PathTracer;
  readonly policyOf?: PolicyOf;
  /** How long an agent may take to try a path, milliseconds. */
  readonly timeoutMs?: number;
}

export function createExplain({ live, tracer, policyOf = policyCache(), timeoutMs = 3_000 }: ExplainOptions): Explain {
  return async (network, question, signal) => {
    const { revision } = network;
    const deny = (rule: string, reason: string, breakPoint: BreakPoint, steps: readonly string[] = []): Explanation => {
      return { verdict: 'deny', rule, revision, reason, breakPoint, steps: [...steps, reason], refusedHosts: [] };
    };
    const source = sourceOf(network, question.from);
    if (source === undefined) {
      return deny('builtin:source', `there is no caller ${question.from} in network ${network.name}`, 'no-such-source');
    }
    const service = network.services.get(question.service)?.service;
    if (service === undefined) {
      const reason = `there is no service ${question.service} in network ${network.name}`;
      return deny('builtin:no-such-service', reason, 'no-such-name');
    }
    const { port, protocol } = question;
    const verdict = policyOf(network).decide(source, { service, port, protocol });
    if (service.kind === 'worker') return deny(verdict.rule, verdict.reason, 'no-such-name');
    const declared = service.ports.map(formatPortRange).join(', ');
    const steps = [`${service.name} is a ${service.kind} service with ports ${declared}`, verdictStep(verdict)];
    const { policies: rules, defaultAction } = network.mesh;
    const decidingRule = rules.find(({ name }) => name === verdict.rule);
    if (!verdict.allowed) {
      const remedy = remedyOf({ rules, defaultAction, source, destination: { service, port, protocol } });
      return { ...outcome(verdict), breakPoint: 'denied', steps, refusedHosts: [], decidingRule, remedy };
    }
    const path = await findPath({ network, source, service: service.name, port, protocol, live, tracer, timeoutMs });
    signal.throwIfAborted();
    return { ...outcome(verdict), ...path, steps: [...steps, ...path.steps], decidingRule };
  };
}

/** Undefined when nobody could call as that: no such service, or no host of that name has joined. */
function sourceOf(network: NetworkState, from: string): Source | undefined {
  const source = resolveSource(from, network.mesh, mayRunIn(network.mesh, network));
  return source?.type === 'host' && !network.hosts.has(source.name) ? undefined : source;
}

function verdictStep({ allowed, rule, revision, reason }: Verdict): string {
  return `revision ${revision} ${allowed ? 'permits' : 'denies'} it by ${rule}: ${reason}`;
}

function outcome({
  allowed,
  rule,
  revision,
  reason,
}: Verdict): Pick<Explanation, 'verdict' | 'rule' | 'revision' | 'reason'> {
  return { verdict: allowed ? 'allow' : 'deny', rule, revision, reason };
}
