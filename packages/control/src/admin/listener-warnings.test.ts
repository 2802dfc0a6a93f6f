import type { Mesh, Report } from '@weft/proto';
import { expect, it } from 'vitest';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import { EMPTY_REPORT } from '../fleet/report.ts';
import type { NetworkState } from '../state/types.ts';
import { listenerWarnings } from './listener-warnings.ts';

const MESH = {
  network: 'prod',
  services: [
    { name: 'bulk', kind: 'private', ports: [{ protocol: 'tcp', first: 20_000, last: 21_023 }], tags: [] },
    { name: 'web', kind: 'web', ports: [{ protocol: 'tcp', first: 3_000, last: 3_000 }], tags: [] },
    { name: 'mailer', kind: 'worker', ports: [], tags: [] },
  ],
} as unknown as Mesh;

function network(...services: readonly string[]): NetworkState {
  const agents = ['small', 'large', 'silent'].map((host) => [host, { id: host, host }]);
  return {
    agents: new Map(agents as []),
    instances: new Map(services.map((service, at) => [at, { service }])),
  } as unknown as NetworkState;
}

const limits: Record<string, number> = { small: 448, large: 9_488, silent: 0 };
const live = {
  agent: (id: string) => ({ report: { ...EMPTY_REPORT, listeners: limits[id] } as Report }) as LiveAgent,
} as unknown as LiveAgents;

it('names the hosts that can hold fewer places than the mesh has', () => {
  const [warning, ...more] = listenerWarnings(MESH, network('bulk'), live);
  expect(more).toEqual([]);
  expect(warning).toMatchObject({
    field: 'services',
    message: expect.stringMatching(/2049 places in all; small \(448\) can/),
  });
});

it('counts the addresses of instances too, and says nothing where all fits', () => {
  expect(listenerWarnings(MESH, network(...Array(9).fill('bulk')), live)[0]?.message).toContain(
    'small (448), large (9488)',
  );
  const few = { ...MESH, services: MESH.services.slice(1) };
  expect(listenerWarnings(few, network('web', 'mailer'), live)).toEqual([]);
});

it.runIf(process.platform === 'linux')('takes its own limit for that of agents to come', () => {
  const services = Array.from({ length: 600 }, (_, at) => ({ ...MESH.services[0], name: `s${at}` }));
  const many = { ...MESH, services } as Mesh;
  expect(listenerWarnings(many, undefined, live)[0]?.message).toMatch(/614400 places.*a host of \d+ files/);
});
