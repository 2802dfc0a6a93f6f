import type { Mesh, PortRange } from '@weft/proto';
import { expect, test } from 'vitest';
import { diffMeshes } from './diff.ts';

const tcp = (first: number, last = first): PortRange => ({ protocol: 'tcp', first, last });

function mesh(ports: readonly PortRange[]): Mesh {
  return {
    network: 'prod',
    defaultAction: 'allow',
    services: [{ name: 'rabbit', kind: 'private', ports, tags: [] }],
    policies: [{ name: 'shut', action: 'deny', from: ['*'], to: ['rabbit'], ports }],
    agents: [],
    tests: [],
  };
}

test('ports stand in the order of their numbers, in services and policies', () => {
  const udp: PortRange = { protocol: 'udp', first: 5672, last: 5672 };
  const { changes } = diffMeshes(mesh([tcp(80)]), mesh([tcp(15672), udp, tcp(5672, 5680), tcp(5672)]));
  const ports = 'ports 80 -> 5672, 5672/udp, 5672-5680/tcp, 15672';
  expect(changes).toEqual([
    { operation: 'change', subject: 'service rabbit', detail: ports },
    // A rule's port without a transport is that of both.
    {
      operation: 'change',
      subject: 'policy shut',
      detail: 'ports 80/tcp -> 5672/tcp, 5672/udp, 5672-5680/tcp, 15672/tcp',
    },
  ]);
});

test('the order in which ports are declared is no difference', () => {
  const none = { changes: [], takesAway: false };
  expect(diffMeshes(mesh([tcp(15672), tcp(5672)]), mesh([tcp(5672), tcp(15672)]))).toEqual(none);
});

test('the word that publishes what programs open stands among the ports, as in the mesh file', () => {
  const { services, ...rest } = mesh([tcp(80)]);
  const auto = { ...rest, services: services.map((service) => ({ ...service, autoPorts: true as const })) };
  const only = { ...rest, services: auto.services.map((service) => ({ ...service, ports: [] })) };
  const details = (before: Mesh, after: Mesh) => diffMeshes(before, after).changes.map(({ detail }) => detail);
  expect(details({ ...rest, services }, auto)).toEqual(['ports 80 -> 80, auto']);
  expect(details(auto, only)).toEqual(['ports 80, auto -> auto']);
});
