/** A network to ask explain about, and a world of agents that fare as the test says. */
import type { PortRange, Report } from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import type { TraceOutcome } from '../fleet/questions.ts';
import { EMPTY_REPORT } from '../fleet/report.ts';
import { mesh, networkOf, rule, service, tcp } from '../netmap/network.fixture.ts';
import type { OlderData } from '../state/types.ts';
import { createExplain, type ExplainQuestion } from './explain.ts';

export const network = await networkOf(
  mesh({
    services: [
      service('web', 'web', tcp(3000, 3001), { public: { port: 3000, hosts: ['shop.example.com'] } }),
      service('redis', 'private', tcp(6379)),
      service('statsd', 'private', [{ protocol: 'udp', first: 8125, last: 8125 }]),
      service('empty', 'private', tcp(1)),
      service('mailer', 'worker'),
    ],
    policies: [rule('no-cache', 'deny', ['host:idle'], ['redis'])],
  }),
  [
    { host: 'front', services: ['web'] },
    { host: 'data-a', services: ['redis', 'statsd'] },
    { host: 'data-b', services: ['redis'] },
    { host: 'jobs', services: ['mailer'] },
    { host: 'edge', roles: ['gateway'] },
    { host: 'idle' },
  ],
);

export interface World {
  /** Hosts that are not connected. */
  readonly away?: readonly string[];
  /** SERVICE@HOST that is not healthy. */
  readonly unwell?: readonly string[];
  /** SERVICE@HOST that nothing has been heard of. */
  readonly unheard?: readonly string[];
  readonly notListening?: Readonly<Record<string, readonly PortRange[]>>;
  /** Hosts that cannot be reached, at all or from one as FROM>TO, or that do not answer when asked to try. */
  readonly unreachable?: readonly string[];
  readonly silent?: readonly string[];
  /** What the agent of a host reports, as CODE SUBJECT. */
  readonly problems?: Readonly<Record<string, string>>;
  /** Services whose processes the agent of a host tells from others. */
  readonly toldApart?: Readonly<Record<string, readonly string[]>>;
  /** Hosts whose unknown programs speak as the host. */
  readonly othersAsHost?: readonly string[];
  readonly olderData?: OlderData;
}

function reportOf({ problems, toldApart, othersAsHost }: World, host: string): Report | undefined {
  const [code, subject] = problems?.[host]?.split(' ') ?? [];
  if (othersAsHost?.includes(host) === true) return { ...EMPTY_REPORT, othersAsHost: true };
  const apart = toldApart?.[host];
  if (apart !== undefined) return { ...EMPTY_REPORT, toldApart: apart };
  if (code === undefined || subject === undefined) return undefined;
  return { ...EMPTY_REPORT, problems: [{ code, subject, message: `because of ${code}` }] };
}

export function explain(question: Partial<ExplainQuestion>, world: World = {}, where = network) {
  const hostOf = (agentId: string): string => where.agents.get(agentId)?.host ?? '';
  const traced: string[] = [];
  const live: LiveAgents = {
    agent: (agentId) => ({
      connected: world.away?.includes(hostOf(agentId)) !== true,
      lastSeenMs: 1,
      enforcedRevision: 1,
      kept: true,
      enforcedSinceMs: 0,
      version: '',
      capability: 1,
      report: reportOf(world, hostOf(agentId)),
      observedHost: '',
      behindSinceMs: 0,
      clockSkewMs: undefined,
      telemetry: undefined,
      peerRates: new Map(),
    }),
    instance: (agentId, name) => {
      if (where.agents.get(agentId)?.services.includes(name) !== true) return undefined;
      const key = `${name}@${hostOf(agentId)}`;
      if (world.unheard?.includes(key) === true) return undefined;
      return { healthy: world.unwell?.includes(key) !== true, notListening: world.notListening?.[key] ?? [] };
    },
  };
  const trace = async (from: string, to: string): Promise<TraceOutcome | undefined> => {
    traced.push(`${hostOf(from)}>${hostOf(to)}`);
    if (world.silent?.includes(hostOf(from)) === true) return undefined;
    const way = `${hostOf(from)}>${hostOf(to)}`;
    return world.unreachable?.some((each) => each === hostOf(to) || each === way) === true
      ? { reachable: false, roundTripUs: 0, detail: 'connection refused' }
      : { reachable: true, roundTripUs: 1_500, detail: '' };
  };
  const ask = createExplain({ state: { olderData: world.olderData }, live, tracer: { trace } });
  const whole: ExplainQuestion = { from: 'web', service: 'redis', port: 6379, protocol: 'tcp', ...question };
  return ask(where, whole, new AbortController().signal).then((answer) => ({ answer, traced }));
}
