/** A permitted flow's way: whether the caller's agent takes it, healthy instances, those that listen, and whether it reaches one. */
import {
  type BreakPoint,
  type DestinationName,
  formatPortRange,
  instanceListens,
  isOfPorts,
  listenerProblem,
  PLACE_PROBLEM,
  TARGET_PROBLEM,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetInstances } from '../fleet/projection.ts';
import type { PathTracer } from '../fleet/questions.ts';
import type { AgentState, NetworkState } from '../state/types.ts';
import type { Caller } from './explain-callers.ts';

export interface PathQuestion extends DestinationName {
  readonly network: NetworkState;
  /** A service name, `host:NAME` or `internet`. */
  readonly from: string;
  /** Those that may. */
  readonly callers: readonly Caller[];
  readonly live: LiveAgents;
  readonly tracer: PathTracer;
  readonly timeoutMs: number;
}

interface TargetFound {
  readonly breakPoint: BreakPoint;
  /** One sentence each. */
  readonly steps: readonly string[];
  /** The caller's hosts that reach no instance, where others do. */
  readonly cutOff: readonly string[];
  /** Those that were not asked, or did not answer, where others reach one. */
  readonly untried?: readonly string[];
}

export interface PathFound extends Pick<TargetFound, 'breakPoint' | 'steps'> {
  /** The caller's hosts from which it fails, where it would work from others. */
  readonly refusedHosts: readonly string[];
  /** Those from which it was not tried, where it would work from others. */
  readonly untriedHosts: readonly string[];
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

export async function findPath(question: PathQuestion): Promise<PathFound> {
  const callers = question.callers
    .filter(({ connected }) => connected)
    .map(({ agent }) => ({ agent, listener: listenerOf(agent, question) }));
  const steps = callers.flatMap(({ agent, listener }) => [
    ...(listener === undefined ? [] : [listener.step]),
    ...shortages('the caller', agent, question, true),
  ]);
  const open = callers.filter(({ listener }) => listener?.closed !== true).map(({ agent }) => agent);
  const found = await findTarget(question, open.length > 0 ? open : callers.map(({ agent }) => agent));
  const breakPoint = callers.length > 0 && open.length === 0 ? 'no-listener' : found.breakPoint;
  const shut = callers.filter(({ listener }) => listener?.closed === true).map(({ agent }) => agent.host);
  const refusedHosts = breakPoint === 'none' ? [...shut, ...found.cutOff] : [];
  const untriedHosts = breakPoint === 'none' ? (found.untried ?? []) : [];
  return { breakPoint, steps: [...steps, ...found.steps], refusedHosts, untriedHosts };
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

/** With the address that its agent tried, or does not call since another's program is there, when it says so. */
function whySilent({ name, agent }: Candidate, question: PathQuestion): string {
  const { port, protocol, live } = question;
  const problems = live.agent(agent.id)?.report?.problems ?? [];
  const told = (of: string) => problems.find(({ code, subject }) => code === of && isOfPorts(subject, question));
  const found = told(TARGET_PROBLEM) ?? told(PLACE_PROBLEM);
  if (found !== undefined) return `${name} on ${agent.host}: ${found.message}`;
  return `nothing listens on ${formatPortRange({ protocol, first: port, last: port })} at ${name} on ${agent.host}`;
}

function candidatesOf({ network, service, port, protocol, live }: PathQuestion): Candidate[] {
  const declared = network.services.get(service)?.service;
  return fleetInstances(network, live, service).flatMap(({ instance, agent, connected, healthy, ...health }) => {
    if (agent === undefined) return [];
    const listening = instanceListens(declared, health, port, protocol);
    return [{ name: `${service}/${instance.ordinal}`, agent, connected, healthy, listening }];
  });
}

async function tryPaths(
  { from, tracer, timeoutMs }: PathQuestion,
  callers: readonly AgentState[],
  candidates: readonly Candidate[],
): Promise<TargetFound> {
  const asked = callers.slice(0, MOST_ASKED);
  if (asked.length === 0 && from === 'internet') {
    return { breakPoint: 'unreachable', steps: ['no gateway of this network is connected'], cutOff: [] };
  }
  if (asked.length === 0) {
    const unchecked = `whether it can be reached was not tried: no agent of ${from} that may call is connected`;
    return {
      breakPoint: 'not-tried',
      steps: [...candidates.map(({ name, agent }) => `${name} on ${agent.host} is healthy and listens`), unchecked],
      cutOff: [],
    };
  }
  const waysFrom = async (caller: AgentState) => {
    const ways = candidates.map(async ({ name, agent }) => {
      const isHere = agent.id === caller.id;
      const outcome = await tracer.trace(caller.id, agent.id, timeoutMs);
      const here = `${name} is on ${agent.host}, where the caller is`;
      const way = `${name} on ${agent.host} from ${caller.host}`;
      if (outcome === undefined)
        return {
          works: undefined,
          step: `${isHere ? here : way}: ${caller.host} did not answer within ${timeoutMs} ms`,
        };
      // It has no way to itself, and says so: that it answers is all there is to know.
      if (isHere) return { works: true, step: here };
      if (!outcome.reachable)
        return { works: false, step: `${way}: not reachable: ${outcome.detail || 'no reason given'}` };
      return { works: true, step: `${way}: reachable, round trip ${(outcome.roundTripUs / 1_000).toFixed(1)} ms` };
    });
    const tried = await Promise.all(ways);
    // A caller's agent that is silent proves nothing of the path.
    const fails = tried.every(({ works }) => works === false);
    return { host: caller.host, fails, works: tried.some(({ works }) => works === true), tried };
  };
  const found = await Promise.all(asked.map(waysFrom));
  const steps = found.flatMap(({ tried }) => tried.map(({ step }) => step));
  const unasked = callers.slice(MOST_ASKED).map(({ host }) => host);
  if (unasked.length > 0) steps.push(`${unasked.length} more hosts of ${from} were not asked`);
  const cutOff = found.filter(({ fails }) => fails).map(({ host }) => host);
  const silent = found.filter(({ fails, works }) => !fails && !works).map(({ host }) => host);
  if (found.some(({ works }) => works)) return { breakPoint: 'none', steps, cutOff, untried: [...silent, ...unasked] };
  return { breakPoint: cutOff.length === found.length ? 'unreachable' : 'not-tried', steps, cutOff: [] };
}

/** What is wrong where the caller calls, as its agent reports it; a `closed` one takes no call. */
interface Listener {
  readonly closed: boolean;
  readonly step: string;
}

/** A gateway opens its flows itself, and needs no address to listen on. */
function listenerOf(agent: AgentState, { from, service, port, protocol, live }: PathQuestion): Listener | undefined {
  if (from === 'internet') return undefined;
  const problems = live.agent(agent.id)?.report?.problems ?? [];
  const found = listenerProblem(problems, { service, ordinal: undefined, port, protocol });
  return found && { closed: found.closed, step: `at the caller, ${agent.host}: ${found.message}` };
}

/** What refuses some calls there, and not all, as its agent reports: it is short of files, or, for callers, of places to call at. */
function shortages(where: string, { id, host }: AgentState, question: PathQuestion, calls: boolean): string[] {
  const { from, protocol, live } = question;
  const crowd = from === 'internet' ? 'gateway' : protocol;
  const problems = live.agent(id)?.report?.problems ?? [];
  return problems
    .filter(
      ({ code, subject }) =>
        (code === 'too-many-files' && (subject === 'agent' || (calls && subject === 'listeners'))) ||
        (calls && code === 'too-many-clients' && subject === crowd),
    )
    .map(({ message }) => `at ${where}, ${host}: ${message}`);
}
