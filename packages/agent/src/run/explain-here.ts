/** The verdict on a flow of this host, from it or to it, and where it would break, as far as its agent sees. */
import {
  type BreakPoint,
  type Destination,
  formatPortRange,
  includesPort,
  instanceListens,
  listed,
  listenerProblem,
  messageOf,
  otherUsers,
  type Protocol,
  type Service,
  type Source,
  sourceName,
  type Verdict,
  verdictSteps,
} from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import type { AgentService } from '../config/agent-file.ts';
import { localSpeech, runsHere, tellingsHere, toldOf } from '../flows/judge.ts';
import { targetsOf } from '../inbound/addresses.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import { tryTargets } from '../inbound/try-target.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { ExplainAnswer } from '../observe/local-question.ts';
import type { Sight, UsersHere } from '../owner/sight.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';

export interface ExplainParts {
  readonly netmap: Netmap;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly targets: Pick<TargetWatch, 'answers' | 'inSandbox'>;
  readonly problems: Pick<Problems, 'current'>;
  readonly tunnels: Pick<Tunnels, 'lookAt'>;
  readonly sight: Sight;
  readonly users?: UsersHere;
}

export interface FlowAsked {
  /** A service, host:NAME or internet. */
  readonly from: string;
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
}

type Found = Pick<ExplainAnswer, 'breakPoint' | 'steps'>;

/** As control does it: a caller tries a few instances and not hundreds. */
const MOST_TRIED = 8;
/** Services that a step names. */
const NAMED = 8;
/** Longer than a dial may take. */
const PATH_MS = 6_000;

/** Rejects with LocalRefusal where the flow is none of this host's. */
export async function explainHere(parts: ExplainParts, asked: FlowAsked): Promise<ExplainAnswer> {
  const { netmap, services } = parts;
  const { self, revision } = netmap;
  if (self === undefined) throw new LocalRefusal('not-own', 'this agent knows nothing of its network yet');
  const service = netmap.services.get(asked.service)?.service;
  const target = service && runsHere(netmap, services, service.name) !== undefined ? service : undefined;
  const { source, said, own, perhaps } = sourceOf(parts, asked.from);
  if (!own && target === undefined)
    throw new LocalRefusal(
      'not-own',
      `${self.host} is told of the rules for its own flows alone, and this is none: ask on a host of ${asked.from} or of ${asked.service}, or control (--control HOST:PORT --admin-token-file FILE)`,
    );
  const deny = (rule: string, reason: string, breakPoint: BreakPoint): ExplainAnswer => {
    return { verdict: 'deny', rule, revision, reason, breakPoint, steps: [...said, reason] };
  };
  if (source === undefined)
    return deny('builtin:source', `${self.host} knows of no caller ${asked.from} that may call it`, 'no-such-source');
  if (service === undefined)
    return deny('builtin:no-such-service', `${self.host} knows of no service ${asked.service}`, 'no-such-name');
  const destination = { service, port: asked.port, protocol: asked.protocol };
  const verdict = netmap.policy.decide(source, destination, '');
  const other = perhaps && netmap.policy.decide(perhaps, destination, '');
  if (other !== undefined && other.allowed !== verdict.allowed)
    throw notPromised(self.host, asked.from, verdict, other);
  if (service.kind === 'worker') return deny(verdict.rule, verdict.reason, 'no-such-name');
  const outcome = { verdict: verdict.allowed ? 'allow' : 'deny', ...of(verdict) } as const;
  const steps = [...said, ...verdictSteps(service, verdict), ...otherUsers(netmap.policy, verdict)];
  if (!verdict.allowed) return { ...outcome, breakPoint: 'denied', steps };
  const path = own ? await fromHere(parts, source, destination) : await toHere(parts, source, destination);
  return { ...outcome, breakPoint: path.breakPoint, steps: [...steps, ...path.steps] };
}

function notPromised(host: string, from: string, verdict: Verdict, other: Verdict): LocalRefusal {
  const does = ({ allowed, rule }: Verdict) => `${allowed ? 'permitted' : 'denied'} by ${rule}`;
  const words =
    `it cannot be promised: the agent of ${host} sees processes of its own user alone. Those of ${from} that are of that user speak as ${from}, ` +
    `${does(other)}; others as ${sourceName(verdict.source)}, ${does(verdict)}. Let match in the agent file name a user for ${from}, or give the ` +
    'agent CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH';
  return new LocalRefusal('not-promised', words);
}

function of({ rule, revision, reason }: { readonly rule: string; readonly revision: number; readonly reason: string }) {
  return { rule, revision, reason };
}

interface Caller {
  /** Undefined where nobody that this host is told of may call so. */
  readonly source: Source | undefined;
  /** What is to be said of how it speaks. */
  readonly said: readonly string[];
  /** Whether it calls from here. */
  readonly own: boolean;
  /** What it speaks as instead where its process is of the agent's own user, which nobody can say beforehand. */
  readonly perhaps?: Source;
}

function sourceOf({ netmap, services, sight, users }: ExplainParts, from: string): Caller {
  const { self } = netmap;
  if (self === undefined) return { source: undefined, said: [], own: false };
  if (from === 'internet') return { source: { type: 'internet' }, said: [], own: self.roles.includes('gateway') };
  const { unknown, apart } = localSpeech(netmap, services);
  const service = (name: string): Source | undefined => {
    const known = netmap.services.get(name)?.service;
    return known && { type: 'service', service: known };
  };
  if (from === `host:${self.host}`) {
    if (unknown.type === 'service') {
      const said = [`programs of ${self.host} speak as ${unknown.name}, the one service that runs there`];
      return { source: service(unknown.name), said, own: true };
    }
    const known = [...toldOf(tellingsHere(netmap, services, sight, users))];
    const said =
      known.length === 0
        ? []
        : [`so speak programs of ${self.host} that are not known to be of ${listed(known, NAMED)}`];
    return { source: netmap.hostSource(self), said, own: true };
  }
  if (from.startsWith('host:')) {
    const peer = [...netmap.peers.values()].find(({ host }) => host === from.slice('host:'.length));
    return { source: peer && netmap.hostSource(peer), said: [], own: false };
  }
  const own = runsHere(netmap, services, from) !== undefined;
  if (!own || !apart.includes(from)) return { source: service(from), said: [], own };
  const telling = tellingsHere(netmap, services, sight, users).get(from);
  if (telling === 'own') {
    const perhaps = service(from);
    const said = `programs of ${from} that are of this agent's own user speak as it, others as host:${self.host}`;
    return { source: netmap.hostSource(self), said: [said], own, ...(perhaps && { perhaps }) };
  }
  if (telling !== 'told') {
    const said = `${self.host} runs ${listed(apart, NAMED)}, where no process can be told to be of ${from}, so it speaks as host:${self.host}`;
    return { source: netmap.hostSource(self), said: [said], own };
  }
  return { source: service(from), said: [`${self.host} ${howKnown(services.get(from))} ${from}`], own };
}

/** By what a process is told to be of the service. */
function howKnown(here: AgentService | undefined): string {
  const words = Object.entries(here?.match ?? {}).map(([word, value]) => `${word} ${value}`);
  return words.length > 0
    ? `takes processes of ${listed(words, NAMED)} for`
    : 'takes who listens at its target, and what that starts as the same user, for';
}

async function fromHere(parts: ExplainParts, source: Source, destination: Destination): Promise<Found> {
  const { netmap, problems } = parts;
  const { service, port, protocol } = destination;
  const steps: string[] = [];
  const place = { service: service.name, ordinal: undefined, port, protocol };
  const listener = source.type === 'internet' ? undefined : listenerProblem(problems.current, place);
  if (listener !== undefined) steps.push(`here: ${listener.message}`);
  const instances = netmap.services.get(service.name)?.instances ?? [];
  if (instances.length === 0)
    return { breakPoint: 'no-healthy-instance', steps: [...steps, `no agent runs ${service.name}`] };
  const tried = await Promise.all(
    instances.slice(0, MOST_TRIED).map((instance) => tryInstance(parts, instance, destination)),
  );
  const found = [...steps, ...tried.map(({ step }) => step)];
  if (listener?.closed === true) return { breakPoint: 'no-listener', steps: found };
  const best = ORDER.find((each) => tried.some(({ breakPoint }) => breakPoint === each)) ?? 'unreachable';
  return { breakPoint: best, steps: found };
}

/** Where the instance that got furthest would break. */
const ORDER: readonly BreakPoint[] = ['none', 'unreachable', 'not-listening', 'no-healthy-instance'];

interface Tried {
  readonly breakPoint: BreakPoint;
  readonly step: string;
}

async function tryInstance(parts: ExplainParts, instance: NetmapInstance, destination: Destination): Promise<Tried> {
  const { self, peers } = parts.netmap;
  const { service, port, protocol } = destination;
  const name = `${service.name}/${instance.ordinal}`;
  if (instance.agentId === self?.agentId) return await tryHere(parts, name, service, port, protocol);
  const peer = peers.get(instance.agentId);
  if (peer === undefined)
    return {
      breakPoint: 'unreachable',
      step: `${name} is on a host that this one is told nothing of: no flow is permitted between the two`,
    };
  const where = `${name} on ${peer.host}`;
  if (!instanceListens(service, instance, port, protocol))
    return {
      breakPoint: 'not-listening',
      step: `${where}: no program listens on ${formatPortRange({ protocol, first: port, last: port })}`,
    };
  if (!instance.healthy)
    return {
      breakPoint: 'no-healthy-instance',
      step: `${where} is not healthy, or its agent is not connected to control`,
    };
  const deadline = new Deadline(PATH_MS);
  try {
    const { roundTripUs } = await parts.tunnels.lookAt(peer.agentId, false, deadline);
    return {
      breakPoint: 'none',
      step: `${where}: reachable from here, round trip ${(roundTripUs / 1_000).toFixed(1)} ms`,
    };
  } catch (error) {
    return { breakPoint: 'unreachable', step: `${where}: not reachable from here: ${messageOf(error)}` };
  } finally {
    deadline.close();
  }
}

/** Its program is on this very host. */
async function tryHere(
  { services, targets }: ExplainParts,
  name: string,
  { name: service, ports }: Service,
  port: number,
  protocol: Protocol,
): Promise<Tried> {
  const here = services.get(service);
  if (targets.inSandbox(service, port, protocol))
    return { breakPoint: 'none', step: `${name} is here, and a program of it in a sandbox listens` };
  if (here?.shutIn === true || !includesPort(ports, port, protocol)) {
    const at = formatPortRange({ protocol, first: port, last: port });
    return { breakPoint: 'not-listening', step: `${name} is here: no program of it in a sandbox listens on ${at}` };
  }
  const expected = here === undefined ? [] : targetsOf(here, port, protocol);
  const tried = await tryTargets(expected, protocol, (target) => targets.answers(target, protocol));
  const last = tried.at(-1);
  if (last?.error === '') return { breakPoint: 'none', step: `${name} is here, and answers at ${last.address}` };
  const told = tried.map(({ address, error }) => `${address}: ${error}`).join(', ');
  return {
    breakPoint: 'not-listening',
    step: `${name} is here: ${told || 'the agent file does not name it'}`,
  };
}

async function toHere(parts: ExplainParts, source: Source, { service, port, protocol }: Destination): Promise<Found> {
  const own = parts.netmap.services
    .get(service.name)
    ?.instances.find(({ agentId }) => agentId === parts.netmap.self?.agentId);
  const { breakPoint, step } = await tryHere(parts, `${service.name}/${own?.ordinal ?? '-'}`, service, port, protocol);
  return { breakPoint, steps: [step, `whether ${sourceName(source)} gets here was not tried: its own host can tell`] };
}
