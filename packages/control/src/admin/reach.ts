/** Who may reach a service: the verdict on every possible caller and every declared port, by the evaluator of agents. */
import { setImmediate } from 'node:timers/promises';
import {
  type Action,
  byText,
  entryOf,
  formatPortRange,
  otherUsers,
  type Policy,
  type PortRange,
  plainRules,
  problem,
  type Service,
  type Source,
  serviceNameProblem,
  sourceName,
} from '@weft/proto';
import { tagsByHost } from '../fleet/projection.ts';
import { mergeRanges, portSegments } from '../netmap/port-segments.ts';
import { StateError } from '../state/errors.ts';
import { hostSource } from '../state/may-run.ts';
import type { NetworkState } from '../state/types.ts';
import { RequestError } from './errors.ts';
import { type PolicyOf, policyCache } from './policy-cache.ts';

/** One caller's verdict on some ports. */
export interface Reach {
  /** A service name, `host:NAME` or `internet`. */
  readonly source: string;
  /** Empty for a worker, which has none. */
  readonly ports: readonly PortRange[];
  readonly verdict: Action;
  readonly rule: string;
  readonly reason: string;
}

/** Where a caller stands: services (0) by name, then hosts (1), then the internet (2). */
export type CallerPlace = readonly [sort: number, name: string];

export interface CallerReach {
  readonly place: CallerPlace;
  readonly reach: readonly Reach[];
}

/** Caller by caller in their order, all or from one on. */
export type ReachOf = (
  network: NetworkState,
  service: string,
  signal: AbortSignal,
  from?: CallerPlace,
) => AsyncGenerator<CallerReach>;

/** Verdicts made in one turn of the loop: a millisecond or so. */
const VERDICTS_A_TURN = 2_000;
/** Ranges of ports written out in a reason. */
const RANGES_SHOWN = 5;

export function createReach(policyOf: PolicyOf = policyCache()): ReachOf {
  return async function* (network, name, signal, from) {
    const wrong = serviceNameProblem(name);
    if (wrong !== undefined) throw new RequestError([problem('service', wrong)]);
    const service = network.services.get(name)?.service;
    if (service === undefined) {
      throw new StateError('no-such-service', `there is no service ${name} in network ${network.name}`, [], {
        service: name,
      });
    }
    const policy = policyOf(network);
    const rules = plainRules(network.mesh.policies);
    // A worker is denied before anything is asked of its port, and has none to ask of.
    const segments: PortRange[] =
      service.kind === 'worker' ? [{ protocol: 'tcp', first: 0, last: 0 }] : portSegments(service, rules);
    let verdicts = 0;
    for (const { place, source } of callers(network)) {
      if (from !== undefined && isBefore(place, from)) continue;
      yield { place, reach: reachFrom(source, service, segments, policy) };
      verdicts += segments.length;
      if (verdicts < VERDICTS_A_TURN) continue;
      verdicts = 0;
      await setImmediate();
      signal.throwIfAborted();
    }
  };
}

/** All who could call at all: a service that calls itself has other instances. */
function* callers(network: NetworkState): Generator<{ place: CallerPlace; source: Source }> {
  const { services, agents, mesh } = network;
  for (const name of [...services.keys()].sort(byText)) {
    const service = services.get(name)?.service;
    if (service !== undefined) yield { place: [0, name], source: { type: 'service', service } };
  }
  const tags = tagsByHost(mesh);
  for (const agent of [...agents.values()].sort((one, other) => byText(one.host, other.host))) {
    yield { place: [1, agent.host], source: hostSource(network, agent, tags.get(agent.host) ?? []) };
  }
  yield { place: [2, ''], source: { type: 'internet' } };
}

function isBefore([sort, name]: CallerPlace, [ofSort, ofName]: CallerPlace): boolean {
  return sort === ofSort ? byText(name, ofName) < 0 : sort < ofSort;
}

interface Group {
  readonly verdict: Action;
  readonly rule: string;
  readonly reason: string;
  readonly segments: PortRange[];
}

function reachFrom(source: Source, service: Service, segments: readonly PortRange[], policy: Policy): Reach[] {
  const groups = new Map<string, Group>();
  for (const segment of segments) {
    const destination = { service, port: segment.first, protocol: segment.protocol };
    const judged = policy.decide(source, destination, '');
    const { allowed, rule } = judged;
    const verdict = allowed ? 'allow' : 'deny';
    const others = otherUsers(policy, judged).join();
    const group = entryOf(groups, `${verdict} ${rule} ${others}`, (): Group => {
      const reason = others === '' ? judged.reason : `${judged.reason}, ${others}`;
      return { verdict, rule, reason, segments: [] };
    });
    group.segments.push(segment);
  }
  return Array.from(groups.values(), ({ verdict, rule, reason, segments: same }) => {
    const ports = service.kind === 'worker' ? [] : mergeRanges(same);
    return { source: sourceName(source), ports, verdict, rule, reason: forAll(reason, service, same[0], ports) };
  });
}

/** The evaluator's reason is about the one port it was asked for; here it is about all that share it. */
function forAll(reason: string, { name }: Service, asked: PortRange | undefined, ports: readonly PortRange[]): string {
  const [only, ...others] = ports;
  if (asked === undefined || only === undefined || (others.length === 0 && only.first === only.last)) return reason;
  const shown = ports.slice(0, RANGES_SHOWN).map(formatPortRange).join(', ');
  const all = ports.length > RANGES_SHOWN ? `${shown}, …` : shown;
  return reason.replace(`${name}:${asked.first}/${asked.protocol}`, () => `${name}:${all}`);
}
