import { describe, expect, test } from 'vitest';
import { CAPABILITIES, CAPABILITY, capabilityOf } from './capability.ts';
import type { Mesh, Rule, Service } from './mesh.ts';
import type { NetmapItem } from './netmap.ts';
import { itemFor, VOCABULARY, type Vocabulary, wholeFrom, wordsBeyond } from './vocabulary.ts';

/** As though tags, UDP, web services and gateways had come with number 2. */
const WORDS: Vocabulary = {
  selectors: { ...VOCABULARY.selectors, internet: 1, user: 1, tag: 2 },
  protocols: { ...VOCABULARY.protocols, udp: 2 },
  kinds: { ...VOCABULARY.kinds, web: 2 },
  roles: { gateway: 2 },
  ports: { auto: 2 },
};

const tcp = { protocol: 'tcp', first: 53, last: 53 } as const;
const udp = { protocol: 'udp', first: 53, last: 53 } as const;
const dns: Service = { name: 'dns', kind: 'private', ports: [tcp, udp], tags: [] };
const rule: Rule = { name: 'r', action: 'deny', from: ['tag:eu'], to: ['dns'], ports: [udp] };

function policy(...rules: Rule[]): NetmapItem {
  return { type: 'policy', defaultAction: 'allow', rules };
}

test('each number says in a sentence what it brought, and when; who says none is of the first', () => {
  expect(CAPABILITIES).toHaveLength(CAPABILITY);
  for (const { since, brought } of CAPABILITIES) {
    expect(since).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(brought.length).toBeGreaterThan(20);
  }
  expect([capabilityOf(undefined), capabilityOf(0), capabilityOf(7)]).toEqual([1, 1, 7]);
});

test('nothing that agents enforce came with a number that this version has not', () => {
  expect(wholeFrom()).toBeLessThanOrEqual(CAPABILITY);
  expect(wholeFrom(WORDS)).toBe(2);
});

describe('for an agent that lacks a word', () => {
  test.each<[what: string, item: NetmapItem, readable: NetmapItem | undefined]>([
    [
      'a rule that denies is as narrow as it can be told',
      policy(rule),
      policy({ ...rule, from: ['*'], ports: [{ ...udp, protocol: 'any' }] }),
    ],
    [
      'a rule that permits nothing is left out',
      policy({ ...rule, action: 'allow' }, { ...rule, name: 's', from: ['dns'], ports: [] }),
      policy({ ...rule, name: 's', from: ['dns'], ports: [] }),
    ],
    [
      'a rule that permits some keeps those',
      policy({ ...rule, action: 'allow', from: ['dns', 'tag:eu'], ports: [tcp, udp] }),
      policy({ ...rule, action: 'allow', from: ['dns'], ports: [tcp] }),
    ],
    [
      'a service whose programs publish ports has its declared ones',
      { type: 'service', service: { ...dns, ports: [tcp], autoPorts: true }, address: 1 },
      { type: 'service', service: { ...dns, ports: [tcp] }, address: 1 },
    ],
    [
      'a service that has no others keeps its name, kind and tags, by which rules are about it',
      { type: 'service', service: { ...dns, ports: [], tags: ['eu'], autoPorts: true }, address: 1 },
      { type: 'service', service: { ...dns, ports: [], tags: ['eu'] }, address: 1 },
    ],
    [
      'an instance tells of declared ports alone',
      {
        type: 'instance',
        service: 'dns',
        ordinal: 0,
        agentId: 'a',
        address: 1,
        healthy: true,
        notListening: [],
        opened: [tcp],
      },
      { type: 'instance', service: 'dns', ordinal: 0, agentId: 'a', address: 1, healthy: true, notListening: [] },
    ],
    [
      'a service has the ports that it knows',
      { type: 'service', service: dns, address: 1 },
      { type: 'service', service: { ...dns, ports: [tcp] }, address: 1 },
    ],
    [
      'a service without any that it knows has none',
      { type: 'service', service: { ...dns, ports: [udp] }, address: 1 },
      { type: 'service', service: { ...dns, ports: [] }, address: 1 },
    ],
    [
      'a service of a kind it does not know is left out',
      { type: 'service', service: { ...dns, kind: 'web' }, address: 1 },
      undefined,
    ],
  ])('%s', (_what, item, readable) => {
    expect(itemFor(item, 1, WORDS)).toEqual(readable);
    expect(itemFor(item, 2, WORDS)).toBe(item);
  });

  test('an agent is there without the role', () => {
    const self = {
      agentId: 'a',
      host: 'h',
      tags: [],
      roles: ['gateway'],
      services: [],
      address: 1,
      network: 'n',
      controlAddresses: [],
    } as const;
    expect(itemFor({ type: 'self', ...self }, 1, WORDS)).toMatchObject({ roles: [] });
  });

  test('what it can read all of is the same object', () => {
    const item = policy({ ...rule, from: ['dns'], ports: [tcp] });
    expect(itemFor(item, 1, WORDS)).toBe(item);
  });
});

test('a mesh names each word that is beyond a capability, where it stands', () => {
  const web: Service = { ...dns, name: 'web', kind: 'web', ports: [tcp] };
  const mesh: Mesh = {
    network: 'n',
    services: [dns, web],
    defaultAction: 'allow',
    policies: [rule],
    agents: [],
    tests: [],
  };
  expect(wordsBeyond(mesh, 1, WORDS).map(({ field, what }) => `${field}: ${what}`)).toEqual([
    'services.dns.ports[1]: the protocol udp',
    'services.web.kind: the kind web',
    'policies[0].from[0]: the selector tag:eu',
    'policies[0].ports[0]: the protocol udp',
  ]);
  expect(wordsBeyond(mesh, 2, WORDS)).toEqual([]);
});
