import type { AgentSettings, Mesh, PolicyTest, PortRange, PublicIngress, Rule, RulePorts, Service } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { agentOn, allWell, current, emptyState, joinHost } from '../netmap/network.fixture.ts';
import { NetworkView } from '../netmap/network-view.ts';
import { diffMeshes, sameService } from './diff.ts';

const port: PortRange = { protocol: 'tcp', first: 3000, last: 3001 };
const ingress: PublicIngress = { port: 3000, hosts: ['a.example'], responseTimeoutMs: 5_000 };
const web: Service = {
  name: 'web',
  kind: 'web',
  ports: [port],
  public: ingress,
  tags: ['eu'],
  description: 'the shop',
};
const rule: Rule = { name: 'shut', action: 'deny', from: ['web'], to: ['web'], ports: [port] };
const agent: AgentSettings = { name: 'a', tags: ['eu'], services: [] };
const asked: PolicyTest = { from: 'web', service: 'web', port: 3000, protocol: 'tcp', expect: 'deny' };
const base: Mesh = {
  network: 'prod',
  services: [web],
  defaultAction: 'allow',
  policies: [rule],
  agents: [agent],
  tests: [asked],
};

/** Every field must have another value here, so that none which the model gains is forgotten. */
type Others<T, Name extends keyof T = never> = { readonly [Field in Exclude<keyof T, Name>]-?: T[Field] };

const ofPort: Others<PortRange> = { protocol: 'udp', first: 2_999, last: 3_002 };
const ofRulePorts: Others<RulePorts> = { ...ofPort, protocol: 'any' };
const ofIngress: Others<PublicIngress> = { port: 3001, hosts: ['b.example'], responseTimeoutMs: 2_000 };
const ofService: Others<Service, 'name'> = {
  kind: 'private',
  ports: [],
  autoPorts: true,
  public: { ...ingress, hosts: [] },
  tags: [],
  description: 'a shop',
};
const ofRule: Others<Rule, 'name'> = { action: 'allow', from: ['*'], to: ['*'], ports: [] };
const ofAgent: Others<AgentSettings, 'name'> = { tags: [], services: ['web'] };
const ofTest: Others<PolicyTest> = { from: '*', service: 'redis', port: 1, protocol: 'udp', expect: 'allow' };
const ofMesh: Others<Mesh, 'network'> = { services: [], defaultAction: 'deny', policies: [], agents: [], tests: [] };

/** As many as there are fields: the same, but for one of them. */
function each<T extends object>(
  whole: T,
  others: { [Field in keyof T]?: T[Field] | undefined },
  within: (changed: T) => Mesh,
): [string, Mesh][] {
  return Object.entries(others).map(([field, value]) => [field, within({ ...whole, [field]: value })]);
}

const withService = (changed: Service): Mesh => ({ ...base, services: [changed] });
const withRule = (changed: Rule): Mesh => ({ ...base, policies: [changed] });
const { responseTimeoutMs: _, ...patient } = ingress;
const { public: __, ...closed } = web;

describe.each<[string, string, [string, Mesh][]]>([
  ['a service', 'service web', each(web, ofService, withService)],
  ['its public', 'service web', each(ingress, ofIngress, (changed) => withService({ ...web, public: changed }))],
  ['its port', 'service web', each(port, ofPort, (changed) => withService({ ...web, ports: [changed] }))],
  [
    'what it may lack',
    'service web',
    [
      ['public', withService(closed)],
      ['responseTimeout', withService({ ...web, public: patient })],
    ],
  ],
  ['a policy', 'policy shut', each(rule, ofRule, withRule)],
  ['its port', 'policy shut', each<RulePorts>(port, ofRulePorts, (changed) => withRule({ ...rule, ports: [changed] }))],
  ['an agent', 'agent a', each(agent, ofAgent, (changed) => ({ ...base, agents: [changed] }))],
  ['a test', 'tests', each(asked, ofTest, (changed) => ({ ...base, tests: [changed] }))],
])('of %s (%s)', (_what, subject, meshes) => {
  test.each(meshes)('%s alone is a change, there and back', (_field, mesh) => {
    for (const { changes } of [diffMeshes(base, mesh), diffMeshes(mesh, base)]) {
      expect(changes).toEqual([{ operation: 'change', subject, detail: expect.stringContaining(' -> ') }]);
    }
    const [service = web] = mesh.services;
    expect(sameService(web, service)).toBe(service === web);
  });
});

test.each(each(base, ofMesh, (changed) => changed))('of a mesh, %s alone is a change', (_field, mesh) => {
  expect(diffMeshes(base, mesh).changes).toHaveLength(1);
});

test('a change of responseTimeout alone is told by a dry run, applied, kept, and gets to the agents', async () => {
  const state = await emptyState();
  const apply = (timeout: Partial<PublicIngress>, dryRun = false) => {
    const service = { ...web, public: { ...patient, ...timeout } };
    return state.apply({ ...base, services: [service] }, { dryRun, actor: 'control' });
  };
  await apply({});
  await joinHost(state, 'prod', { host: 'a', roles: ['gateway'] });
  const item = (): string | undefined => {
    const network = current(state);
    const view = new NetworkView(network, allWell(network)).of(agentOn(network, 'a').id);
    return view?.get('service/web')?.digest(view.viewer);
  };
  const before = item();
  const changes = [
    {
      operation: 'change',
      subject: 'service web',
      detail: 'public 3000 at a.example -> 3000 at a.example, responseTimeout 2s',
    },
  ];
  expect((await apply({ responseTimeoutMs: 2_000 }, true)).changes).toEqual(changes);
  expect(item()).toBe(before);
  expect((await apply({ responseTimeoutMs: 2_000 })).changes).toEqual(changes);
  expect((await state.revisions('prod', 1))[0]?.changes).toEqual(changes);
  expect(current(state).services.get('web')?.service.public?.responseTimeoutMs).toBe(2_000);
  expect(before).toBeDefined();
  expect(item()).not.toBe(before);
});
