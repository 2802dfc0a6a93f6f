/**
 * The verdict on one flow and where it would break, from the caller to the target: is there such a caller, such a name, a
 * permission, a healthy instance, a listener, a way. The verdict is the evaluator's that agents enforce with.
 */
import {
  type Action,
  type BreakPoint,
  byText,
  type DestinationName,
  InexactRules,
  listed,
  type Mesh,
  otherUsers,
  type Remedy,
  type Rule,
  remedyOf,
  type Source,
  sourceName,
  type Verdict,
  verdictSteps,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import type { PathTracer } from '../fleet/questions.ts';
import { tellOlder } from '../state/older-data.ts';
import type { NetworkState, OlderData, RuleOrigins } from '../state/types.ts';
import { type Caller, callersOf, inexactSteps, speaksAs } from './explain-callers.ts';
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
  /** The caller's hosts from which it fails all the same, when it would work from others. */
  readonly refusedHosts: readonly string[];
  /** Those from which it was not tried, when it would work from others. */
  readonly untriedHosts: readonly string[];
  /** Undefined where the default or a built-in rule decided. */
  readonly decidingRule?: Rule | undefined;
  /** Undefined where it is permitted, and where no rule can permit it. */
  readonly remedy?: Remedy | undefined;
  /** Where the network's rules come from. */
  readonly origins: RuleOrigins;
}

export type Explain = (network: NetworkState, question: ExplainQuestion, signal: AbortSignal) => Promise<Explanation>;

export interface ExplainOptions {
  readonly live: LiveAgents;
  readonly tracer: PathTracer;
  /** Its `olderData` is set while control knows that agents heard of more than its data. */
  readonly state: { readonly olderData: OlderData | undefined };
  readonly policyOf?: PolicyOf;
  /** How long an agent may take to try a path, milliseconds. */
  readonly timeoutMs?: number;
}

/** Hosts that an answer names, and those that steps tell of. */
const MOST_HOSTS = 100;
const MOST_TOLD = 8;
/** Where it works from no host. */
const NO_OTHERS = { refusedHosts: [], untriedHosts: [] } as const;

export function createExplain(options: ExplainOptions): Explain {
  const explain = explainFrom(options);
  return async (network, question, signal) => {
    const found = await explain(network, question, signal);
    const { olderData } = options.state;
    if (olderData === undefined) return found;
    const steps = [`${tellOlder(olderData, network.revision)}. ${BEYOND}`, ...found.steps];
    return { ...found, steps, breakPoint: found.breakPoint === 'none' ? 'not-tried' : found.breakPoint };
  };
}

const BEYOND = 'Agents go on by what they heard, so that the verdict may be another there: ask on the host that calls';

/** By control's data, whatever that is worth. */
function explainFrom({ live, tracer, policyOf = policyCache(), timeoutMs = 3_000 }: ExplainOptions): Explain {
  return async (network, question, signal) => {
    const { revision, origins } = network;
    const deny = (rule: string, reason: string, breakPoint: BreakPoint, steps: readonly string[] = []): Explanation => {
      const all = [...steps, reason];
      return { verdict: 'deny', rule, revision, reason, breakPoint, steps: all, ...NO_OTHERS, origins };
    };
    const callers = callersOf(network, live, question.from);
    if (callers === undefined) {
      return deny('builtin:source', `there is no caller ${question.from} in network ${network.name}`, 'no-such-source');
    }
    const service = network.services.get(question.service)?.service;
    if (service === undefined) {
      const reason = `there is no service ${question.service} in network ${network.name}`;
      return deny('builtin:no-such-service', reason, 'no-such-name');
    }
    const { from, port, protocol } = question;
    const destination = { service, port, protocol };
    const policy = policyOf(network);
    const judged = callers.map((caller) => ({ caller, verdict: policy.decide(caller.source, destination, '') }));
    const denied = judged.filter(({ verdict }) => !verdict.allowed);
    // What is so for those who are there to call; where nobody is, for whoever would be.
    const isThere = judged.some(({ caller }) => caller.connected);
    const away = judged.filter(({ caller, verdict }) => isThere && !caller.connected && verdict.allowed);
    const counted = judged.filter(({ caller }) => !isThere || caller.connected);
    const told = [...counted].sort((one, other) => rank(one) - rank(other))[0];
    const verdict = told?.verdict ?? policy.decide(sourceOfNobody(network, from), destination, '');
    if (service.kind === 'worker') return deny(verdict.rule, verdict.reason, 'no-such-name');
    const decided = [
      ...(told === undefined || sourceName(verdict.source) === from ? [] : [speaksAs(told.caller)]),
      ...verdictSteps(service, verdict),
      ...otherUsers(policy, verdict),
      ...deniedSteps(network.mesh, denied, told),
    ];
    const { policies: rules, defaultAction } = network.mesh;
    const decidingRule = rules.find(({ name }) => name === verdict.rule);
    if (!verdict.allowed) {
      const sources = told === undefined ? [verdict.source] : denied.map(({ caller }) => caller.source);
      const remedy = remedyOf({ rules, defaultAction, sources: sources.slice(0, MOST_HOSTS), destination });
      const steps = [...decided, ...permittedSteps(away)];
      const refused = { breakPoint: 'denied', steps, ...NO_OTHERS } as const;
      return { ...outcome(verdict), ...refused, decidingRule, remedy, origins };
    }
    const permitted = judged.flatMap((one) => (one.verdict.allowed ? [one.caller] : []));
    const path = await findPath({
      ...{ network, from, callers: permitted, service: service.name, port, protocol, live, tracer, timeoutMs },
    });
    signal.throwIfAborted();
    const { breakPoint, steps, refusedHosts, untriedHosts } = path;
    const refused = breakPoint === 'none' ? [...denied.map(({ caller }) => caller.agent.host), ...refusedHosts] : [];
    return {
      ...outcome(verdict),
      breakPoint,
      steps: [...decided, ...steps],
      refusedHosts: refused.sort(byText).slice(0, MOST_HOSTS),
      untriedHosts: [...untriedHosts].sort(byText).slice(0, MOST_HOSTS),
      decidingRule,
      origins,
    };
  };
}

/** What the default and the rules say of a caller that runs nowhere. */
function sourceOfNobody(network: NetworkState, from: string): Source {
  const service = network.services.get(from)?.service;
  return service === undefined ? { type: 'internet' } : { type: 'service', service };
}

interface Judged {
  readonly caller: Caller;
  readonly verdict: Verdict;
}

/** Whose verdict is told first: one that may, and of those and of the others one that is known for the service that it is. */
function rank({ caller, verdict }: Judged): number {
  return (verdict.allowed ? 0 : 2) + (caller.source.type === 'host' ? 1 : 0);
}

/** Of each host that it may not call from, and of the rules that say otherwise; `told`: whose verdict is told already. */
function deniedSteps(mesh: Mesh, denied: readonly Judged[], told: Judged | undefined): string[] {
  if (denied.length === 0) return [];
  const inexact = new InexactRules(mesh.policies, mesh.defaultAction);
  const steps = denied
    .slice(0, MOST_TOLD)
    .flatMap((one) => [
      ...(one === told ? [] : [`${speaksAs(one.caller)}: ${one.verdict.reason}`]),
      ...inexactSteps(inexact, one.caller, one.verdict.destination),
    ]);
  return denied.length > MOST_TOLD
    ? [...steps, `it is denied from ${denied.length - MOST_TOLD} more of its hosts`]
    : steps;
}

/** Of hosts that are away, from which it would be permitted. */
function permittedSteps(away: readonly Judged[]): string[] {
  const hosts = away.map(({ caller }) => caller.agent.host);
  return hosts.length === 0
    ? []
    : [
        `it is permitted from ${listed(hosts, MOST_TOLD)}, whose ${hosts.length === 1 ? 'agent is' : 'agents are'} not connected`,
      ];
}

function outcome({
  allowed,
  rule,
  revision,
  reason,
}: Verdict): Pick<Explanation, 'verdict' | 'rule' | 'revision' | 'reason'> {
  return { verdict: allowed ? 'allow' : 'deny', rule, revision, reason };
}
