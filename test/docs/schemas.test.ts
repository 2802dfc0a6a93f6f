import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parseAgentFile } from '../../packages/agent/src/config/agent-file.ts';
import { parseYaml } from '../../packages/agent/src/config/document.ts';
import { FileError } from '../../packages/agent/src/config/errors.ts';
import { type FileSort, jsonSchemaOf } from '../../packages/agent/src/config/json-schema.ts';
import { parseMeshFile } from '../../packages/agent/src/config/mesh-file.ts';

const root = join(import.meta.dirname, '..', '..');
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
const validators = { mesh: ajv.compile(jsonSchemaOf('mesh')), agent: ajv.compile(jsonSchemaOf('agent')) };
const parsers = { mesh: parseMeshFile, agent: parseAgentFile };

/** What the schema finds wrong, by place. */
function wrong(sort: FileSort, text: string): string[] {
  const validate = validators[sort];
  validate(parseYaml('test.yaml', text).value);
  return (validate.errors ?? []).map(({ instancePath }) => instancePath);
}

const directory = join(root, 'examples');
const written = [
  ...readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(directory, name), 'utf8')),
  ...[...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(
    ([, text = '']) => text,
  ),
].map((text): [FileSort, string] => [/^network:/m.test(text) ? 'mesh' : 'agent', text]);

test('README and the examples have both files', () => {
  expect(new Set(written.map(([sort]) => sort))).toEqual(new Set(['mesh', 'agent']));
  expect(written.length).toBeGreaterThan(5);
});

const MESH = 'network: prod\nservices: { web: { kind: web, ports: [80] } }\n';

test.each<[FileSort, string]>([
  ...written,
  ['mesh', `# yaml-language-server: $schema=./mesh.schema.json\n${MESH}policies:\nagents:\ntests:\n`],
  ['mesh', 'network: prod\nservices: { a: { kind: private, ports: ["80", 81, 53/udp, 90-99/tcp, 100-101] } }'],
  [
    'mesh',
    'network: p\nservices: { w: { kind: web, ports: [80], public: { port: "80", hosts: [a.b], responseTimeout: 1m30s } } }',
  ],
  ['agent', ''],
  ['agent', 'services:\n  worker:\n'],
  ['agent', 'services: { a: { targets: { 80: "[::1]:81", 53/udp: "localhost:53" } } }\ngateway: { http: "0.0.0.0:0" }'],
  ['agent', 'zone: eu-1\ndns: { upstream: [10.0.0.2], private: [zen.spamhaus.org] }'],
])('a good %s file passes its schema: %j', (sort, text) => {
  parsers[sort]('test.yaml', text);
  expect(wrong(sort, text)).toEqual([]);
});

test.each<[FileSort, string, string]>([
  ['mesh', 'services: {}', ''],
  ['mesh', `${MESH}polices: []`, ''],
  ['mesh', 'network: prod\nservices: { web: { kind: wep } }', '/services/web/kind'],
  ['mesh', 'network: prod\nservices: { Web: { kind: worker } }', '/services'],
  ['mesh', 'network: prod\nservices: { a: { kind: private, ports: [70000] } }', '/services/a/ports/0'],
  ['mesh', 'network: prod\nservices: { a: { kind: private, ports: [80/sctp] } }', '/services/a/ports/0'],
  ['mesh', `${MESH}policies: [{ name: a, action: deny, from: [web] }]`, '/policies/0'],
  ['mesh', `${MESH}tests: [{ from: web, to: web, expect: allow }]`, '/tests/0/to'],
  ['agent', 'services: { a: { kind: web } }', '/services/a'],
  ['agent', 'services: { a: { targets: { http: "127.0.0.1:80" } } }', '/services/a/targets'],
  ['agent', 'services: { a: { targets: { 80: 80 } } }', '/services/a/targets/80'],
  ['agent', 'dns: { upstream: [] }', '/dns/upstream'],
])('a bad %s file fails it, as it fails the program: %j', (sort, text, at) => {
  expect(() => parsers[sort]('test.yaml', text)).toThrow(FileError);
  expect(wrong(sort, text)).toContain(at);
});

test('every key that stands in a map of known keys is described', () => {
  const silent: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key !== 'properties') walk(value, path);
      else
        for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
          if (property.description === undefined) silent.push(`${path}${name}`);
          walk(property, `${path}${name}.`);
        }
    }
  };
  for (const sort of ['mesh', 'agent'] as const) walk(jsonSchemaOf(sort), '');
  expect(silent).toEqual([]);
});
