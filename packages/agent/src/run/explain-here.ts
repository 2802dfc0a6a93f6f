/** The verdict on a flow of this host, from it or to it, and where it would break, as far as its agent sees. */
import {
  type BreakPoint,
  type Destination,
  formatPortRange,
  includesPort,
  instanceListens,
  listenerProblem,
  messageOf,
  otherUsers,
  type Protocol,
  type Service,
  type Source,
  sourceName,
  verdictSteps,
} from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import { runsHere } from '../flows/judge.ts';
import { targetsOf } from '../inbound/addresses.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import { tryTargets } from '../inbound/try-target.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { ExplainAnswer } from '../observe/local-question.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { NetmapInstance } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import { type CallerParts, notPromised, sourceOf } from './explain-source.ts';

export interface ExplainParts extends CallerParts {
  readonly targets: Pick<TargetWatch, 'answers' | 'other' | 'inSandbox'>;
  readonly problems: Pick<Problems, 'current'>;
  readonly tunnels: Pick<Tunnels, 'lookAt'>;
}

export interface FlowAsked {
  /** A service, host:NAME, user:NAME, pid:NUMBER or internet. */
  readonly from: string;
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
}

type Found = Pick<ExplainAnswer, 'breakPoint' | 'steps'>;

/** As control does it: a caller tries a few instances and not hundreds. */
const MOST_TRIED = 8;
/** Longer than a dial may take. */
const PATH_MS = 6_000;

/** Rejects with LocalRefusal where the flow is none of this host's. */
export async function explainHere(parts: ExplainParts, asked: FlowAsked): Promise<ExplainAnswer> {
  const { netmap, services } = parts;
  const { self, revision } = netmap;
  if (self === undefined) throw new LocalRefusal('not-own', 'this agent knows nothing of its network yet');
  const service = netmap.services.get(asked.service)?.service;
  const target = service && runsHere(netmap, services, service.name) !== undefined ? service : undefined;
  const { source, said, own, perhaps = [], user = '', caller } = await sourceOf(parts, asked.from);
  if (!own && target === undefined)
    throw new LocalRefusal(
      'not-own',
      `${self.host} is told of the rules for its own flows alone, and this is none: ask on a host of ${asked.from} or of ${asked.service}, or control (--control HOST:PORT --admin-token-file FILE)`,
    );
  const deny = (rule: string, reason: string, breakPoint: BreakPoint): ExplainAnswer => {
    return { verdict: 'deny', rule, revision, reason, breakPoint, steps: [...said, reason], ...caller };
  };
  if (source === undefined)
    return deny('builtin:source', `${self.host} knows of no caller ${asked.from} that may call it`, 'no-such-source');
  if (service === undefined)
    return deny('builtin:no-such-service', `${self.host} knows of no service ${asked.service}`, 'no-such-name');
  const destination = { service, port: asked.port, protocol: asked.protocol };
  const verdict = netmap.policy.decide(source, destination, user);
  const others = perhaps.map((other) => netmap.policy.decide(other, destination, user));
  const other = others.find(({ allowed }) => allowed !== verdict.allowed);
  if (other !== undefined) throw notPromised(self.host, asked.from, verdict, other);
  if (service.kind === 'worker') return deny(verdict.rule, verdict.reason, 'no-such-name');
  const outcome = { verdict: verdict.allowed ? 'allow' : 'deny', ...of(verdict), ...caller } as const;
  const differs = user === '' ? otherUsers(netmap.policy, verdict) : [];
  const steps = [...said, ...verdictSteps(service, verdict), ...differs];
  if (!verdict.allowed) return { ...outcome, breakPoint: 'denied', steps };
  const path = own ? await fromHere(parts, source, destination) : await toHere(parts, source, destination);
  return { ...outcome, breakPoint: path.breakPoint, steps: [...steps, ...path.steps] };
}

function of({ rule, revision, reason }: { readonly rule: string; readonly revision: number; readonly reason: string }) {
  return { rule, revision, reason };
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
  const tried = await tryTargets(service, expected, protocol, targets);
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
  const untried = `whether ${sourceName(source)} gets here was not tried: its own host can tell`;
  return { breakPoint: breakPoint === 'none' ? 'not-tried' : breakPoint, steps: [step, untried] };
}
