import type { Service } from '@weft/proto';
import { expect, test } from 'vitest';
import type { NetmapInstance } from '../words/netmap.ts';
import { runningOn } from './running-on.ts';
import { sampleNetmap } from './sample.fixture.ts';

const PORT = { protocol: 'tcp', first: 80, last: 80 } as const;

const CASES: [
  what: string,
  service: Partial<Service>,
  instance: Partial<NetmapInstance>,
  heard: boolean | undefined,
][] = [
  ['one that is well', {}, {}, true],
  ['one that is unwell, and silent at all ports', {}, { healthy: false, notListening: [PORT] }, true],
  ['one that is unwell, and not silent', {}, { healthy: false }, false],
  ['one without declared ports that is well', { ports: [], autoPorts: true }, {}, true],
  ['one without declared ports that is unwell', { ports: [], autoPorts: true }, { healthy: false }, undefined],
  ['a worker that is unwell', { kind: 'worker', ports: [] }, { healthy: false }, false],
];

test.each(CASES)('%s tells whether control hears its host', (_, service, instance, heard) => {
  const here = { service: 'web', ordinal: 0, agentId: 'there', address: undefined, healthy: true, notListening: [] };
  const web = {
    service: { name: 'web', kind: 'web', ports: [PORT], tags: [], ...service } as const,
    address: undefined,
    instances: [{ ...here, ...instance }],
  };
  expect(runningOn(sampleNetmap({ services: new Map([['web', web]]) }), 'there').heard).toBe(heard);
});
