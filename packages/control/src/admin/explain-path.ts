/** A permitted flow's way: whether the caller's agent takes it, healthy instances, those that listen, and whether it reaches one. */
import {
  type BreakPoint,
  type DestinationName,
  formatPortRange,
  includesPort,
  isOfPorts,
  LISTENER_PROBLEMS,
  listenerName,
  type Source,
  sourceName,
  TARGET_PROBLEM,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgents, fleetInstances } from '../fleet/projection.ts';
import type { PathTracer } from '../fleet/questions.ts';
import { byText } from '../order.ts';
import type { AgentState, NetworkState } from '../state/types.ts';

export interface PathQuestion extends DestinationName {
  readonly network: NetworkState;
  readonly source: Source;
  readonly live: LiveAgents;
  readonly tracer: PathTracer;
  readonly timeoutMs: number;
  /** Why the policy refuses the caller at this host, where it permits it elsewhere; undefined where it does not. */
  readonly denial: (agent: AgentState) => string | undefined;
}

interface TargetFound {
  readonly breakPoint: BreakPoint;
  /** One sentence each. */
  readonly steps: readonly string[];
  /** The caller's hosts that reach no instance, where others do. */
  readonly cutOff: readonly string[];
}

export interface PathFound extends Omit<TargetFound, 'cutOff'> {
  /** The caller's hosts from which it fails, where it would work from others. */
  readonly refusedHosts: readonly string[];
}

interface Candidate {
  readonly name: string;
  readonly agent: AgentState;
  readonly connected: boolean;
  readonly healthy: boolean;
  readonly listening: boolean;
}

/** A caller tries a few instances and not hundreds, and so does this. */
const MOST_TRACED = 8;
/** Of the caller's hosts, each of which tries all of those. */
const MOST_ASKED = 32;
const MOST_REFUSED = 100;

export async function findPath(question: PathQuestion): Promise<PathFound> {
  const callers = callersOf(question);
  const steps = callers.flatMap(({ agent, denial, listener }) => [
    ...(denial === undefined ? [] : [denial]),
    ...(listener === undefined ? [] : [listener.step]),
    ...shortages('the caller', agent, question, true),
  ]);
  const isOpen = ({ denial, listener }: Caller) => denial === undefined && listener?.closed !== true;
  const open = callers.filter(isOpen).map(({ agent }) => agent);
  const found = await findTarget(question, open.length > 0 ? open : callers.map(({ agent }) => agent));
  const shutAt: BreakPoint = callers.some(({ denial }) => denial === undefined) ? 'no-listener' : 'denied';
  const breakPoint = callers.length > 0 && open.length === 0 ? shutAt : found.breakPoint;
  const shut = callers.filter((caller) => !isOpen(caller)).map(({ agent }) => agent.host);
  const refused = [...shut, ...found.cutOff].sort(byText);
  const refusedHosts = breakPoint === 'none' ? refused.slice(0, MOST_REFUSED) : [];
  return { breakPoint, steps: [...steps, ...found.steps], refusedHosts };
}

async function findTarget(question: PathQuestion, callers: readonly AgentState[]): Promise<TargetFound> {
  const { service } = question;
  const candidates = candidatesOf(question);
  if (candidates.length === 0)
    return { breakPoint: 'no-healthy-instance', steps: [`no agent runs ${service}`], cutOff: [] };

  const steps = candidates.filter(({ healthy }) => !healthy).map((candidate) => whyUnwell(candidate, question));
  const healthy = candidates.filter((candidate) => candidate.healthy);
  if (healthy.length === 0) {
    const idle = candidates.every(({ connected, listening }) => connected && !listening);
    return { breakPoint: idle ? 'not-listening' : 'no-healthy-instance', steps, cutOff: [] };
  }

  steps.push(...healthy.filter(({ listening }) => !listening).map((candidate) => whySilent(candidate, question)));
  steps.push(...healthy.flatMap(({ name, agent }) => shortages(name, agent, question, false)));
  const listening = healthy.filter((candidate) => candidate.listening);
  if (listening.length === 0) return { breakPoint: 'not-listening', steps, cutOff: [] };

  const found = await tryPaths(question, callers, listening.slice(0, MOST_TRACED));
  return { ...found, steps: [...steps, ...found.steps] };
}

/** What is known of an agent that is away is old, so that it is away comes first. */
function whyUnwell(candidate: Candidate, question: PathQuestion): string {
  const { name, agent, connected, listening } = candidate;
  if (!connected) return `${name} is on ${agent.host}, whose agent is not connected`;
  return listening ? `${name} on ${agent.host} is not healthy` : whySilent(candidate, question);
}

/** With the address that its agent tried, when it says so. */
function whySilent({ name, agent }: Candidate, question: PathQuestion): string {
  const { port, protocol, live } = question;
  const problems = live.agent(agent.id)?.report?.problems ?? [];
  const tried = problems.find(({ code, subject }) => code === TARGET_PROBLEM && isOfPorts(subject, question));
  if (tried !== undefined) return `${name} on ${agent.host}: ${tried.message}`;
  return `nothing listens on ${formatPortRange({ protocol, first: port, last: port })} at ${name} on ${agent.host}`;
}

function candidatesOf({ network, service, port, protocol, live }: PathQuestion): Candidate[] {
  return fleetInstances(network, live, service).flatMap(({ instance, agent, connected, healthy, notListening }) => {
    if (agent === undefined) return [];
    const listening = !includesPort(notListening, port, protocol);
    return [{ name: `${service}/${instance.ordinal}`, agent, connected, healthy, listening }];
  });
}

async function tryPaths(
  { source, tracer, timeoutMs }: PathQuestion,
  callers: readonly AgentState[],
  candidates: readonly Candidate[],
): Promise<TargetFound> {
  const asked = callers.slice(0, MOST_ASKED);
  if (asked.length === 0 && source.type === 'internet') {
    return { breakPoint: 'unreachable', steps: ['no gateway of this network is connected'], cutOff: [] };
  }
  if (asked.length === 0) {
    const unchecked = `whether it can be reached was not tried: no agent of ${sourceName(source)} is connected`;
    return {
      breakPoint: 'none',
      steps: [...candidates.map(({ name, agent }) => `${name} on ${agent.host} is healthy and listens`), unchecked],
      cutOff: [],
    };
  }
  const from = async (caller: AgentState) => {
    const ways = candidates.map(async ({ name, agent }) => {
      if (agent.id === caller.id) return { works: true, step: `${name} is on ${agent.host}, where the caller is` };
      const outcome = await tracer.trace(caller.id, agent.id, timeoutMs);
      const way = `${name} on ${agent.host} from ${caller.host}`;
      if (outcome === undefined)
        return { works: undefined, step: `${way}: ${caller.host} did not answer within ${timeoutMs} ms` };
      if (!outcome.reachable)
        return { works: false, step: `${way}: not reachable: ${outcome.detail || 'no reason given'}` };
      return { works: true, step: `${way}: reachable, round trip ${(outcome.roundTripUs / 1_000).toFixed(1)} ms` };
    });
    const tried = await Promise.all(ways);
    // A caller's agent that is silent proves nothing of the path.
    return { host: caller.host, fails: tried.every(({ works }) => works === false), tried };
  };
  const found = await Promise.all(asked.map(from));
  const steps = found.flatMap(({ tried }) => tried.map(({ step }) => step));
  const unasked = callers.length - asked.length;
  if (unasked > 0) steps.push(`${unasked} more hosts of ${sourceName(source)} were not asked`);
  const cutOff = found.filter(({ fails }) => fails).map(({ host }) => host);
  const unreachable = cutOff.length === found.length;
  return { breakPoint: unreachable ? 'unreachable' : 'none', steps, cutOff: unreachable ? [] : cutOff };
}

interface Caller {
  readonly agent: AgentState;
  /** Why the policy refuses it there. */
  readonly denial: string | undefined;
  /** What is wrong where the caller calls, as its agent reports it; a `closed` one takes no call. */
  readonly listener: { readonly closed: boolean; readonly step: string } | undefined;
}

/** Connected agents that the caller may be on, by host name. */
function callersOf(question: PathQuestion): Caller[] {
  const { network, source, live } = question;
  return fleetAgents(network, live)
    .flatMap(({ agent, connected }) => (connected && isOn(agent, source, live) ? [agent] : []))
    .sort((one, other) => byText(one.host, other.host))
    .map((agent) => ({ agent, denial: question.denial(agent), listener: listenerOf(agent, question) }));
}

/** A gateway opens its flows itself, and needs no address to listen on. */
function listenerOf(agent: AgentState, { source, service, port, protocol, live }: PathQuestion): Caller['listener'] {
  if (source.type === 'internet') return undefined;
  const place = listenerName({ service, ordinal: undefined, port, protocol });
  const problem = live
    .agent(agent.id)
    ?.report?.problems.find(
      ({ code, subject }) => subject === place && LISTENER_PROBLEMS.some((each) => each === code),
    );
  if (problem === undefined) return undefined;
  return { closed: problem.code !== 'port-shared', step: `at the caller, ${agent.host}: ${problem.message}` };
}

/** What refuses some calls there, and not all, as its agent reports: it is short of files, or, for callers, of places to call at. */
function shortages(where: string, { id, host }: AgentState, question: PathQuestion, calls: boolean): string[] {
  const { source, protocol, live } = question;
  const crowd = source.type === 'internet' ? 'gateway' : protocol;
  const problems = live.agent(id)?.report?.problems ?? [];
  return problems
    .filter(
      ({ code, subject }) =>
        (code === 'too-many-files' && (subject === 'agent' || (calls && subject === 'listeners'))) ||
        (calls && code === 'too-many-clients' && subject === crowd),
    )
    .map(({ message }) => `at ${where}, ${host}: ${message}`);
}

function isOn(agent: AgentState, source: Source, live: LiveAgents): boolean {
  switch (source.type) {
    case 'service':
      return live.instance(agent.id, source.service.name) !== undefined;
    case 'host':
      return agent.host === source.name;
    case 'internet':
      return agent.roles.includes('gateway');
  }
}
