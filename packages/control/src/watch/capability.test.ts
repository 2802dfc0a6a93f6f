/** Agents of two versions at one control. */
import { CAPABILITY, itemKey, type Rule, VOCABULARY, type Vocabulary } from '@weft/proto';
import { expect, test } from 'vitest';
import { leftBehind } from '../admin/left-behind.ts';
import type { Remembered } from '../fleet/memory.ts';
import { current, mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import { TestControl } from './control.fixture.ts';
import type { FakeAgent } from './fake-agent.fixture.ts';

/** As though selectors of tags had come with number 2. */
const WORDS: Vocabulary = { ...VOCABULARY, selectors: { ...VOCABULARY.selectors, tag: 2 } };

const denies = rule('no-eu', 'deny', ['tag:eu'], ['redis'], tcp(6379));
const allows = rule('eu-web', 'allow', ['tag:eu', 'web'], ['redis']);
const known = rule('web-only', 'allow', ['web'], ['db']);
const services = [
  service('web', 'web', tcp(3000), { tags: ['eu'] }),
  service('redis', 'private', tcp(6379)),
  service('db', 'private', tcp(5432)),
];
const before = mesh({ services, policies: [known] });
const after = mesh({ services, policies: [known, denies, allows] });

function rulesOf({ items }: FakeAgent): readonly Rule[] {
  const policy = items.get('policy');
  return policy?.type === 'policy' ? policy.rules : [];
}

test('an agent is sent what it can read, and a rule that it cannot read in the narrowest form that it can', async () => {
  const saved: ReadonlyMap<string, Remembered>[] = [];
  const memory = { load: () => new Map<string, Remembered>(), save: saved.push.bind(saved) };
  await using control = await TestControl.start({ words: WORDS, memory });
  await control.state.apply(after, { dryRun: false, actor: 'control' });
  const all = ['web', 'redis', 'db'];
  const [old, young] = [
    await control.join({ host: 'old', services: all }),
    await control.join({ host: 'young', services: all }),
  ];
  const first = control.connect(old, { capability: 0 });
  const second = control.connect(young);
  await first.until((agent) => rulesOf(agent).length > 0);
  await second.until((agent) => rulesOf(agent).length > 0);
  expect(rulesOf(second)).toEqual([known, denies, allows]);
  expect(rulesOf(first)).toEqual([known, { ...denies, from: ['*'] }, { ...allows, from: ['web'] }]);
  expect(control.hub.fleet.agent(old.agent.id)?.capability).toBe(1);
  expect(control.hub.fleet.agent(young.agent.id)?.capability).toBe(CAPABILITY);

  // Another change sends it its policy again only where that differs in its own words.
  const deltas = first.deltas.length;
  await control.state.apply(mesh({ services: [...services, service('mail', 'worker')], policies: after.policies }), {
    dryRun: false,
    actor: 'control',
  });
  await first.until((agent) => agent.deltas.length > deltas);
  expect(first.deltas.slice(deltas).flatMap(({ upserts }) => upserts.map(itemKey))).not.toContain('policy');

  // Upgraded: it says so when it comes back, and is sent the rest.
  first.close();
  const upgraded = control.connect(old, { capability: 2 });
  await upgraded.until((agent) => rulesOf(agent).length === 3);
  expect(rulesOf(upgraded)).toEqual([known, denies, allows]);
  control.hub.close();
  expect(saved.at(-1)?.get(old.agent.id)?.capability).toBe(2);
});

test('what control does not know of a newer agent is passed over', async () => {
  await using control = await TestControl.start();
  await control.state.apply(before, { dryRun: false, actor: 'control' });
  const agent = control.connect(await control.join({ host: 'newer', services: ['web'] }), { capability: 99 });
  await agent.until(({ items }) => items.has('self'));
  const { revision } = agent;
  agent.send({});
  await control.state.apply(after, { dryRun: false, actor: 'control' });
  await agent.until((heard) => heard.revision > revision);
  expect(control.hub.fleet.agent(agent.id)).toMatchObject({ connected: true, capability: 99 });
});

test('what a member could not enforce is named with its hosts, and only where the apply brings it', async () => {
  await using control = await TestControl.start();
  await control.state.apply(before, { dryRun: false, actor: 'control' });
  for (const host of ['b', 'a', 'young']) {
    const joined = await control.join({ host, services: ['web'] });
    control.hub.joined(joined.agent.id, host === 'young' ? 2 : 1);
  }
  const asked = (accepted: boolean, mesh = after) =>
    leftBehind(mesh, current(control.state), control.hub.fleet, accepted, WORDS);
  expect(asked(false)).toEqual([
    {
      field: 'policies[1].from[0]',
      message:
        'the selector tag:eu needs capability 2, which these hosts have not: a (1), b (1); ' +
        'upgrade them first, or apply with --leave-behind, and they fail closed for this alone',
    },
    expect.objectContaining({ field: 'policies[2].from[0]' }),
  ]);
  expect(asked(true)[0]?.message).toMatch(/; until they are upgraded, they fail closed for this alone$/);
  expect(asked(false, before)).toEqual([]);

  await control.state.apply(after, { dryRun: false, actor: 'control' });
  expect(asked(false)).toEqual([]);
  expect(asked(false, mesh({ services, policies: [{ ...known, from: ['tag:eu'] }, denies] }))).toHaveLength(1);
  // Taken as a rule that allows: turned round, or about more, it is another.
  for (const turned of [{ ...allows, action: 'deny' } as const, { ...allows, to: ['redis', 'db'] }]) {
    expect(asked(false, mesh({ services, policies: [known, denies, turned] }))).toMatchObject([
      { field: 'policies[2].from[0]' },
    ]);
  }
  // A word of a service, by the words that there are.
  const auto = { ...service('ftp', 'private', []), autoPorts: true as const };
  expect(
    leftBehind(
      mesh({ services: [...services, auto], policies: after.policies }),
      current(control.state),
      control.hub.fleet,
      false,
    ),
  ).toMatchObject([
    {
      field: 'services.ftp.ports',
      message: expect.stringMatching(
        /^ports: auto needs capability \d+, which these hosts have not: a \(1\), b \(1\), young \(2\)/,
      ),
    },
  ]);
  // The same in another order is the same.
  const [first, ...rest] = [{ ...allows, from: ['web', 'tag:eu'] }, denies, known] as const;
  expect(asked(false, mesh({ services, policies: [first, ...rest] }))).toEqual([]);
});
