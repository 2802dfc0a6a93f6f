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
  sourceName,
  type Verdict,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import type { PathTracer } from '../fleet/questions.ts';
import { mayRunIn } from '../state/may-run.ts';
import type { AgentState, NetworkState } from '../state/types.ts';
import { findPath } from './explain-path.ts';
import { type PolicyOf, policyCache } from './policy-cache.ts';
import { speakerOn } from './speaks-as.ts';

export interface ExplainQuestion extends DestinationName {
  /** A service name, `host:NAME` or `internet`. */
  readonly from: string;
}

export interface Explanation extends Pick<Verdict, 'rule' | 'revision' | 'reason'> {
  readonly verdict: Action;
  readonly breakPoint: BreakPoint;
  /** What was found on the way, one sentence a step. */
  readonly steps: readonly string[];
  /** The caller's hosts from which it fails all the same, when it would work from others. */
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
    const asked = sourceOf(network, question.from);
    if (asked === undefined) {
      return deny('builtin:source', `there is no caller ${question.from} in network ${network.name}`, 'no-such-source');
    }
    const service = network.services.get(question.service)?.service;
    if (service === undefined) {
      const reason = `there is no service ${question.service} in network ${network.name}`;
      return deny('builtin:no-such-service', reason, 'no-such-name');
    }
    const { port, protocol } = question;
    const policy = policyOf(network);
    const destination = { service, port, protocol };
    const { source, step } = spokenAs(network, live, asked);
    const verdict = policy.decide(source, destination);
    if (service.kind === 'worker') return deny(verdict.rule, verdict.reason, 'no-such-name');
    const declared = service.ports.map(formatPortRange).join(', ');
    const steps = [
      ...step,
      `${service.name} is a ${service.kind} service with ports ${declared}`,
      verdictStep(verdict),
    ];
    const { policies: rules, defaultAction } = network.mesh;
    const decidingRule = rules.find(({ name }) => name === verdict.rule);
    if (!verdict.allowed) {
      const remedy = remedyOf({ rules, defaultAction, source, destination });
      return { ...outcome(verdict), breakPoint: 'denied', steps, refusedHosts: [], decidingRule, remedy };
    }
    const path = await findPath({
      ...{ network, source: asked, service: service.name, port, protocol, live, tracer, timeoutMs },
      denial: (agent) => denialAt(network, live, agent, asked, (speaker) => policy.decide(speaker, destination)),
    });
    signal.throwIfAborted();
    return { ...outcome(verdict), ...path, steps: [...steps, ...path.steps], decidingRule };
  };
}

/** Undefined when nobody could call as that: no such service, or no host of that name has joined. */
function sourceOf(network: NetworkState, from: string): Source | undefined {
  const source = resolveSource(from, network.mesh, mayRunIn(network.mesh, network));
  return source?.type === 'host' && !network.hosts.has(source.name) ? undefined : source;
}

/** As its agent has it: a host that runs one service speaks as that. */
function spokenAs(network: NetworkState, live: LiveAgents, asked: Source): { source: Source; step: readonly string[] } {
  const agent = asked.type === 'host' ? network.agents.get(network.hosts.get(asked.name) ?? '') : undefined;
  if (agent === undefined) return { source: asked, step: [] };
  const { source, runs } = speakerOn(network, live, agent);
  if (source.type !== 'service') return { source: asked, step: [] };
  return { source, step: [`every process on ${agent.host} speaks as ${runs.join()}, the one service that it runs`] };
}

/** A service beside others on its host cannot be told apart there, and is held to what the host is. */
function denialAt(
  network: NetworkState,
  live: LiveAgents,
  agent: AgentState,
  asked: Source,
  decide: (source: Source) => Verdict,
): string | undefined {
  if (asked.type !== 'service') return undefined;
  const { source, runs } = speakerOn(network, live, agent);
  if (source.type !== 'host') return undefined;
  const { allowed, reason } = decide(source);
  if (allowed) return undefined;
  return `${agent.host} runs ${runs.join(', ')}, which cannot be told apart there and speak as ${sourceName(source)}: ${reason}`;
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
