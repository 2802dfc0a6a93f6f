import { compilePolicy } from '@weft/proto';
import { expect, it } from 'vitest';
import { createHostSources } from '../netmap/store.ts';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';
import type { Call } from './call.ts';
import { Chooser } from './choose.ts';

const CALL: Call = { service: 'redis', ordinal: undefined, port: 6379, protocol: 'tcp' };
const REACHED = { promising: () => true };
const SILENT = { notListening: [{ protocol: 'tcp', first: 6379, last: 6379 }] } as const;

function netmap(...instances: readonly Partial<NetmapInstance>[]): Netmap {
  const speaker = { host: 'h', tags: [], services: [], roles: [], address: undefined };
  const keys = { tunnelKey: new Uint8Array(32), psk: new Uint8Array(32), endpoints: [] };
  const full = instances.map((instance, ordinal) => ({
    service: 'redis',
    ordinal,
    agentId: 'p',
    address: undefined,
    healthy: true,
    notListening: [],
    ...instance,
  }));
  const service = { name: 'redis', kind: 'private', ports: [], tags: [] } as const;
  return {
    timeline: 't',
    index: 1,
    revision: 1,
    self: { ...speaker, agentId: 'self', network: 'n' },
    services: new Map([['redis', { service, address: undefined, instances: full }]]),
    peers: new Map([['p', { ...speaker, ...keys, agentId: 'p' }]]),
    policy: compilePolicy({ revision: 1, defaultAction: 'allow', rules: [] }),
    ruleSet: { defaultAction: 'allow', rules: [] },
    hostSource: createHostSources(new Map()),
  };
}

function ordinals(chooser: Chooser, map: Netmap, other: Partial<Call> = {}): readonly number[] {
  return chooser.candidates(map, { ...CALL, ...other }).map(({ instance }) => instance.ordinal);
}

it('turns by one at each call, listening instances first', () => {
  const chooser = new Chooser({ listening: () => false }, REACHED);
  const map = netmap({}, SILENT, {}, SILENT);
  expect(ordinals(chooser, map)).toEqual([0, 2, 1, 3]);
  expect(ordinals(chooser, map)).toEqual([2, 0, 3, 1]);
  expect(ordinals(chooser, map)).toEqual([0, 2, 1, 3]);
});

it('gives each its turn, in one order', () => {
  const chooser = new Chooser({ listening: () => false }, REACHED);
  const map = netmap({}, {}, {});
  expect([0, 1, 2, 3].map(() => ordinals(chooser, map)[0])).toEqual([0, 1, 2, 0]);
  const other = new Chooser({ listening: () => false }, REACHED, 2);
  expect([0, 1].map(() => ordinals(other, map))).toEqual([
    [2, 0, 1],
    [0, 1, 2],
  ]);
});

it('forgets the turn of a service that is gone, and of no other', () => {
  const chooser = new Chooser({ listening: () => false }, REACHED);
  const map = netmap({}, {}, {});
  ordinals(chooser, map);
  chooser.prune(map);
  expect(ordinals(chooser, map)).toEqual([1, 2, 0]);
  chooser.prune({ ...map, services: new Map() });
  expect(ordinals(chooser, map)).toEqual([0, 1, 2]);
});

it('calls nobody as its own when control has sent this host away', () => {
  const chooser = new Chooser({ listening: () => true }, REACHED);
  expect(chooser.candidates({ ...netmap({ agentId: 'self' }, {}), self: undefined }, CALL)).toMatchObject([
    { local: false, instance: { ordinal: 1 } },
  ]);
});

it('leaves out what is not well and what cannot be reached', () => {
  const chooser = new Chooser({ listening: () => false }, REACHED);
  expect(ordinals(chooser, netmap({ healthy: false }, { agentId: 'unknown' }, {}))).toEqual([2]);
  expect(ordinals(chooser, netmap({ healthy: false }))).toEqual([]);
  expect(ordinals(chooser, netmap(), { service: 'nothing' })).toEqual([]);
});

it('takes those of which it is known that nothing listens where none is well, to hear which address is tried', () => {
  const down = new Chooser({ listening: () => false }, REACHED);
  const unwell = { healthy: false, ...SILENT };
  expect(ordinals(down, netmap(unwell, { healthy: false }, unwell))).toEqual([0, 2]);
  expect(ordinals(down, netmap(unwell, {}))).toEqual([1]);
  expect(ordinals(down, netmap({ healthy: false, agentId: 'self' }))).toEqual([0]);
});

it('takes this host’s own word for its own instance', () => {
  const up = new Chooser({ listening: () => true }, REACHED);
  expect(up.candidates(netmap({ agentId: 'self', healthy: false }), CALL)).toMatchObject([{ local: true }]);
  const down = new Chooser({ listening: () => false }, REACHED);
  expect(ordinals(down, netmap({ agentId: 'self' }, {}))).toEqual([1, 0]);
});

it('puts hosts that have fallen silent behind those that have not', () => {
  const keys = { host: 'h', tags: [], services: [], roles: [], address: undefined };
  const map = netmap({}, { agentId: 'q' }, {}, SILENT);
  const peers = new Map([
    ...map.peers,
    ['q', { ...keys, tunnelKey: new Uint8Array(32), psk: new Uint8Array(32), endpoints: [], agentId: 'q' }],
  ]);
  const chooser = new Chooser({ listening: () => false }, { promising: (agentId) => agentId !== 'q' });
  expect(ordinals(chooser, { ...map, peers })).toEqual([0, 2, 1, 3]);
  expect(ordinals(chooser, { ...map, peers })).toEqual([2, 0, 1, 3]);
  expect(ordinals(chooser, { ...map, peers }, { ordinal: 1 })).toEqual([1]);
});

it('gives the instance that was asked for, well or not', () => {
  const chooser = new Chooser({ listening: () => false }, REACHED);
  expect(ordinals(chooser, netmap({}, { healthy: false }), { ordinal: 1 })).toEqual([1]);
  expect(ordinals(chooser, netmap({}), { ordinal: 7 })).toEqual([]);
});
