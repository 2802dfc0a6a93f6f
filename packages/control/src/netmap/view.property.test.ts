/** The view against the plainest way to compute it: every source, every service and every port asked of the evaluator. */
import { compilePolicy, eachPort, type NetmapItem, type Service, type Source } from '@weft/proto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentState, NetworkState } from '../state/types.ts';
import { anyHosts, anyMesh } from './mesh.fixture.ts';
import { allWell, networkOf } from './network.fixture.ts';
import { view } from './view.fixture.ts';

function sources(network: NetworkState, agent: AgentState): Source[] {
  const tags = network.mesh.agents.find(({ name }) => name === agent.host)?.tags ?? [];
  const services = network.mesh.services.filter(({ name }) => agent.services.includes(name));
  const all: Source[] = [{ type: 'host', name: agent.host, tags, services }];
  if (agent.roles.includes('gateway')) all.push({ type: 'internet' });
  for (const name of agent.services) {
    const declared = network.services.get(name);
    if (declared !== undefined) all.push({ type: 'service', service: declared.service });
  }
  return all;
}

function mayCall(network: NetworkState, callers: readonly Source[], names: readonly string[]): boolean {
  const { mesh } = network;
  const policy = compilePolicy({ revision: 1, defaultAction: mesh.defaultAction, rules: mesh.policies });
  return names.some((name) => {
    const service = network.services.get(name)?.service;
    if (service === undefined) return false;
    return [...eachPort(service.ports)].some((port) =>
      callers.some((source) => policy.decide(source, { service, ...port }, '').allowed),
    );
  });
}

function deniedByTag({ mesh }: NetworkState, { tags }: Service): boolean {
  const denies = mesh.policies.filter(({ action }) => action === 'deny');
  return denies.some(({ from }) => from.some((selector) => tags.some((tag) => selector === `tag:${tag}`)));
}

test('peers and workers are exactly those that some verdict permits', async () => {
  await fc.assert(
    fc.asyncProperty(anyMesh, anyHosts, async (declared, hosts) => {
      const network = await networkOf(declared, hosts);
      const presences = allWell(network);
      const agents = [...network.agents.values()];
      for (const me of agents) {
        const items = view(network, presences, me.id);
        for (const other of agents) {
          if (other === me) continue;
          const linked =
            mayCall(network, sources(network, me), other.services) ||
            mayCall(network, sources(network, other), me.services);
          expect(items.has(`peer/${other.id}`)).toBe(linked);
        }
        for (const { service } of network.services.values()) {
          const told =
            service.kind !== 'worker' ||
            me.services.includes(service.name) ||
            mayCall(network, [{ type: 'service', service }], me.services) ||
            (deniedByTag(network, service) &&
              agents.some(({ id, services }) => items.has(`peer/${id}`) && services.includes(service.name)));
          expect(items.has(`service/${service.name}`)).toBe(told);
        }
        expect(items.has(`peer/${me.id}`)).toBe(false);
      }
    }),
    { numRuns: 60 },
  );
});

/** A peer's host as the agent knows it: a service that the agent was not told of has a name, and is a worker. */
function asTold(items: ReadonlyMap<string, NetmapItem>, source: Source): Source {
  if (source.type !== 'host') return source;
  const services = source.services.map(({ name }): Service => {
    const item = items.get(`service/${name}`);
    return item?.type === 'service' ? item.service : { name, kind: 'worker', ports: [], tags: [] };
  });
  return { ...source, services };
}

test('the rules an agent is given decide its own flows as all rules do', async () => {
  await fc.assert(
    fc.asyncProperty(anyMesh, anyHosts, async (declared, hosts) => {
      const network = await networkOf(declared, hosts);
      const { mesh } = network;
      const whole = compilePolicy({ revision: 1, defaultAction: mesh.defaultAction, rules: mesh.policies });
      const everyone = [...network.agents.values()];
      for (const me of everyone) {
        const items = view(network, allWell(network), me.id);
        const policy = items.get('policy');
        if (policy?.type !== 'policy') throw new Error('no policy');
        const given = compilePolicy({ revision: 1, defaultAction: policy.defaultAction, rules: policy.rules });
        const compare = (source: Source, name: string, told = source): void => {
          const service = network.services.get(name)?.service;
          if (service === undefined) return;
          for (const port of eachPort(service.ports)) {
            const [mine, all] = [
              given.decide(told, { service, ...port }, ''),
              whole.decide(source, { service, ...port }, ''),
            ];
            expect([mine.allowed, mine.rule]).toEqual([all.allowed, all.rule]);
          }
        };
        for (const source of sources(network, me)) for (const name of network.services.keys()) compare(source, name);
        for (const other of everyone) {
          const isPeer = items.has(`peer/${other.id}`);
          for (const source of sources(network, other)) {
            for (const name of me.services) compare(source, name, isPeer ? asTold(items, source) : source);
          }
        }
      }
    }),
    { numRuns: 40 },
  );
});
