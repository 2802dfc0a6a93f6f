/** The mesh file that control writes is one that `weft apply` reads, and it says the same mesh. */
import { type Mesh, type PortRange, type Rule, type Service, validateMesh } from '@weft/proto';
import { meshToYaml } from '@weft/proto/yaml';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseMeshFile } from '../../packages/agent/src/config/mesh-file.ts';

const EXAMPLE = `network: prod
services:
  web: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  redis: { kind: private, ports: [6379] }
  rabbit: { kind: private, ports: [5672, 15672], tags: [queue] }
  statsd: { kind: private, ports: [8125/udp, 9000-9010/tcp] }
  ftp: { kind: private, ports: [21, auto] }
  dev: { kind: private, ports: auto }
  mailer: { kind: worker }
default: allow
policies:
  - { name: no-admin-ui, action: deny, from: [web], to: [rabbit], ports: [15672] }
  - { name: builders, action: deny, from: [host:build-3, tag:ci, kind:worker], to: ["*"] }
agents:
  build-3: { tags: [ci], services: [rabbit, kind:web] }
  spare: {}
tests:
  - { from: web, to: redis:6379, expect: allow }
  - { from: internet, to: statsd:8125/udp, expect: deny }
`;

test('a mesh is written one thing a line, in the words of the mesh file', () => {
  expect(meshToYaml(parseMeshFile('example', EXAMPLE).mesh)).toBe(EXAMPLE);
});

test('an empty mesh is written without empty sections', () => {
  const empty: Mesh = { network: 'prod', services: [], defaultAction: 'deny', policies: [], agents: [], tests: [] };
  expect(meshToYaml(empty)).toBe('network: prod\ndefault: deny\n');
  expect(parseMeshFile('empty', meshToYaml(empty)).mesh).toEqual(empty);
});

/** Words that YAML takes for something else where they stand bare. */
const traps = ['true', 'null', 'no', 'on', 'yes', 'y', 'inf', 'nan', 'e1'];
const traps2 = ['123', '0', '0x1f', '1e3', '012', '0b1', '1-2', '2001-01-01', '12-30', ...traps];

const serviceName = fc.oneof(fc.constantFrom(...traps), fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/));
const hostName = fc.oneof(fc.constantFrom(...traps2), fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}[a-z0-9]$/));
const word = fc.oneof(
  fc.constantFrom(...traps2, '1.5', '1_000', 'Null', 'TRUE', '.5x', '0o7', '1.', '4.', 'x_'),
  fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/),
);
const publicHost = fc.oneof(
  fc.constantFrom('1.2', '127.0.0.1', '7', 'null', 'a.b'),
  fc.stringMatching(/^[a-z0-9]{1,5}\.[a-z]{2,3}$/),
);
const runnable = fc.uniqueArray(fc.oneof(serviceName, fc.constantFrom('*', 'kind:web')), { maxLength: 3 });
const tags = fc.uniqueArray(word, { maxLength: 3 });
const range: fc.Arbitrary<PortRange> = fc
  .record({
    protocol: fc.constantFrom('tcp', 'udp'),
    first: fc.integer({ min: 1, max: 65_500 }),
    width: fc.oneof(fc.constant(0), fc.nat(30)),
  })
  .map(({ protocol, first, width }) => ({ protocol, first, last: first + width }));

const anyService: fc.Arbitrary<Service> = fc
  .record({
    name: serviceName,
    kind: fc.constantFrom('web', 'private', 'worker'),
    port: fc.integer({ min: 1, max: 65_535 }),
    ports: fc.array(range, { maxLength: 3 }),
    hosts: fc.uniqueArray(publicHost, { minLength: 1, maxLength: 2 }),
    open: fc.boolean(),
    tags,
  })
  .map(({ name, kind, port, ports, hosts, open, tags: carried }): Service => {
    if (kind === 'worker') return { name, kind, ports: [], tags: carried };
    const all: PortRange[] = [{ protocol: 'tcp', first: port, last: port }, ...ports];
    return { name, kind, ports: all, tags: carried, ...(kind === 'web' && open ? { public: { port, hosts } } : {}) };
  });

const anyMesh: fc.Arbitrary<Mesh> = fc
  .record({
    network: serviceName,
    services: fc.uniqueArray(anyService, { selector: ({ name }) => name, maxLength: 5 }),
    defaultAction: fc.constantFrom('allow', 'deny'),
    agents: fc.uniqueArray(fc.record({ name: hostName, tags, services: runnable }), {
      selector: ({ name }) => name,
      maxLength: 3,
    }),
  })
  .chain((parts) => {
    const names = parts.services.map(({ name }) => name);
    const to = fc.oneof(
      fc.constantFrom('*', 'kind:web', ...names),
      word.map((tag) => `tag:${tag}`),
    );
    const from = fc.oneof(
      to,
      hostName.map((host) => `host:${host}`),
    );
    const rule: fc.Arbitrary<Rule> = fc.record({
      name: word,
      action: fc.constantFrom('allow', 'deny'),
      from: fc.uniqueArray(from, { minLength: 1, maxLength: 3 }),
      to: fc.uniqueArray(to, { minLength: 1, maxLength: 3 }),
      ports: fc.array(range, { maxLength: 2 }),
    });
    const target = fc.record({
      from: fc.oneof(
        fc.constantFrom('internet', ...names),
        hostName.map((host) => `host:${host}`),
      ),
      service: fc.constantFrom('', ...names),
      port: fc.integer({ min: 1, max: 65_535 }),
      protocol: fc.constantFrom<PortRange['protocol']>('tcp', 'udp'),
      expect: fc.constantFrom<'allow' | 'deny'>('allow', 'deny'),
    });
    return fc.record({
      network: fc.constant(parts.network),
      services: fc.constant(parts.services),
      defaultAction: fc.constant(parts.defaultAction),
      agents: fc.constant(parts.agents),
      policies: fc.uniqueArray(rule, { selector: ({ name }) => name, maxLength: 4 }),
      tests: fc.array(target, { maxLength: 3 }).map((tests) => tests.filter(({ service }) => service !== '')),
    });
  })
  .filter((mesh) => validateMesh(mesh).errors.length === 0);

/** A reader's map puts names that are whole numbers, which hosts may have, before the others. Hosts have no order anyway. */
function hostsByName(mesh: Mesh): Mesh {
  return { ...mesh, agents: mesh.agents.toSorted((one, other) => (one.name < other.name ? -1 : 1)) };
}

test('every valid mesh comes back as it was, in its order', () => {
  fc.assert(
    fc.property(anyMesh, (mesh) => {
      const read = parseMeshFile('written', meshToYaml(mesh)).mesh;
      expect(hostsByName(read)).toEqual(hostsByName(mesh));
    }),
    { numRuns: 1_000 },
  );
});
