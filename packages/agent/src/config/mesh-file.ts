/** The mesh file: what `weft apply` tells control. The form is checked here, the meaning by proto's validateMesh. */
import { basename } from 'node:path';
import {
  AUTO_PORTS,
  type DestinationName,
  defined,
  type Mesh,
  type PolicyTest,
  type PortRange,
  parseDestination,
  type RulePlaces,
  type RulePorts,
  type Service,
  selectorForms,
  validateMesh,
  WIRE_LIMITS,
} from '@weft/proto';
import { sentence } from '@weft/proto/wire';
import { z } from 'zod';
import { type Path, parseYaml, readYamlFile, type YamlFile } from './document.ts';
import { parseDuration } from './duration.ts';
import { FileError, type FileProblem } from './errors.ts';
import {
  ALSO_ALONE,
  choice,
  expected,
  list,
  maybe,
  named,
  orSentence,
  PORT_FORM,
  parsed,
  parsePorts,
  parseRulePorts,
  section,
  text,
  validate,
} from './schema.ts';

/** A mesh, and where each of its fields stands in the file it came from. */
export interface MeshFile {
  readonly file: string;
  readonly mesh: Mesh;
  readonly places: RulePlaces;
  /** What is wrong with a field, named in the mesh file's words, such as services.redis.ports[0], at its line and column. */
  problem(field: string, message: string): FileProblem;
}

const selectorsOf = (side: 'from' | 'to') => list(text(`a selector: ${selectorForms(side)}`), 'selectors');
const tags = list(text('a tag'), 'tags');
const PORTS = 'ports such as 6379, 8125/udp or 5000-5010/tcp';
const AUTO = { auto: true } as const;
const servicePorts = z
  .preprocess(
    (input) => (input === AUTO_PORTS ? [input] : input),
    list(
      parsed<PortRange | typeof AUTO>((input) => (input === AUTO_PORTS ? AUTO : parsePorts(input)), {
        ...PORT_FORM,
        pattern: `${PORT_FORM.pattern}|^${AUTO_PORTS}$`,
      }),
      `${PORTS}, or auto`,
    ).refine((ports) => ports.filter((each) => 'auto' in each).length < 2, 'auto given twice; expected it once'),
  )
  .meta({ [ALSO_ALONE]: AUTO_PORTS });
const rulePorts = list(parsed<RulePorts>(parseRulePorts, PORT_FORM), PORTS);
const publicPort = parsed((input) => {
  const range = parsePorts(input);
  if (typeof range === 'string') return range;
  const single = range.first === range.last && range.protocol === 'tcp';
  return single ? { port: range.first } : expected('one TCP port, such as 3000', input);
}, PORT_FORM);

/** Wrapped: a parser's answer that is no object is what it found wrong. */
const duration = parsed(
  (input) => {
    const ms = typeof input === 'string' ? parseDuration(input) : undefined;
    return ms === undefined ? expected('a duration, such as 90s', input) : { ms };
  },
  { type: 'string', pattern: '^([0-9]+([.][0-9]+)?(ms|s|m|h|d))+$' },
);

/** The mesh file's form; descriptions are what editors show. */
export const meshSection = section({
  network: text('the name of the network').describe('Name of the network: nothing crosses from one to another.'),
  // With nothing in it, a mistake: it would take every service away.
  services: named(
    section({
      kind: choice(['web', 'private', 'worker']).describe(
        'web: reached by the network, and by the internet on its public port; private: by the network alone; worker: by nobody.',
      ),
      ports: servicePorts
        .optional()
        .describe(
          'Every port that it may be reached on; a worker has none. PORT is TCP. auto: also those that its programs under weft run open.',
        ),
      public: section({
        port: publicPort.describe('The one HTTP port that the internet reaches, through a gateway; among ports.'),
        hosts: list(text('a host name'), 'host names').describe('Host names that a gateway routes here.'),
        responseTimeout: duration
          .optional()
          .describe('From a request sent whole to the first byte of its answer, then 504; 60s when left out.'),
      })
        .optional()
        .describe('How the internet reaches a web service.'),
      tags: tags.optional().describe('For the selector tag:NAME.'),
      description: text('words').optional().describe('What it is, in one line for people.'),
    }),
    'services',
  )
    .optional()
    .describe('Services by name.'),
  default: choice(['allow', 'deny']).optional().describe('The verdict where no policy speaks; allow when left out.'),
  policies: maybe(
    list(
      section({
        name: text('the name of the rule').describe('Stands in verdicts, flow records and explanations.'),
        action: choice(['allow', 'deny']).describe('A deny beats an allow, in whatever order.'),
        from: selectorsOf('from').describe(`Who calls: ${selectorForms('from')}.`),
        to: selectorsOf('to').describe(`What is called: ${selectorForms('to')}.`),
        ports: rulePorts.optional().describe('Of both transports unless they say which; every port when left out.'),
      }),
      'policies',
    ),
  ).describe('Rules; their order does not matter.'),
  agents: maybe(
    named(
      section({
        tags: tags.optional().describe('For the selector tag:NAME.'),
        services: list(text('a service, kind:KIND or *'), 'services')
          .optional()
          .describe('What the host may run, beside what its tokens and grants say: services, kind:KIND or *.'),
      }),
      'hosts',
    ),
  ).describe('What hosts are, by name, whether they have joined or not.'),
  tests: maybe(
    list(
      section({
        from: text('a caller: a service, host:NAME or internet').describe('A service, host:NAME or internet.'),
        to: parsed(parseTestTarget, { type: 'string', pattern: ':[0-9]{1,5}(/(tcp|udp))?$' }).describe(
          'SERVICE:PORT or SERVICE:PORT/udp.',
        ),
        expect: choice(['allow', 'deny']).describe('The verdict that must come out.'),
      }),
      'tests',
    ),
  ).describe('Flows whose verdicts an apply must not change: one that comes out otherwise refuses it.'),
});

/** Reads a mesh file. Throws FileError with every mistake. */
export async function readMeshFile(file: string): Promise<MeshFile> {
  return toMeshFile(await readYamlFile(file));
}

/** Parses the text of a mesh file; `file` names it in errors. Throws FileError with every mistake. */
export function parseMeshFile(file: string, content: string): MeshFile {
  return toMeshFile(parseYaml(file, content));
}

/** Throws FileError with every mistake. */
export function toMeshFile(yaml: YamlFile): MeshFile {
  const mesh = toMesh(validate(yaml, meshSection));
  const problem = (field: string, message: string): FileProblem => ({
    ...yaml.locate(parseField(field)),
    message: field === '' ? message : `${field}: ${message}`,
  });
  const problems = validateMesh(mesh).errors.map(({ field, message }) => problem(field, message));
  if (problems.length > 0) throw new FileError('file-invalid', yaml.file, problems);
  const lines = mesh.policies.map((_rule, index) => yaml.locate(['policies', index]).line);
  return { file: yaml.file, mesh, places: { file: baseName(yaml.file), lines }, problem };
}

/** As others may be told of it: whose directories it lies in is nobody's business. */
function baseName(file: string): string {
  return file === '-' ? 'stdin' : sentence(basename(file), WIRE_LIMITS.name);
}

function toMesh(value: z.output<typeof meshSection>): Mesh {
  return {
    network: value.network,
    services: Object.entries(value.services ?? {}).map(
      ([name, declared]): Service => ({
        name,
        kind: declared.kind,
        ...portsOf(declared.ports ?? []),
        tags: declared.tags ?? [],
        ...defined({ description: declared.description }),
        ...(declared.public && {
          public: {
            port: declared.public.port.port,
            hosts: declared.public.hosts,
            ...defined({ responseTimeoutMs: declared.public.responseTimeout?.ms }),
          },
        }),
      }),
    ),
    defaultAction: value.default ?? 'allow',
    policies: (value.policies ?? []).map((rule) => ({ ...rule, ports: rule.ports ?? [] })),
    agents: Object.entries(value.agents ?? {}).map(([name, declared]) => {
      return { name, tags: declared.tags ?? [], services: declared.services ?? [] };
    }),
    tests: (value.tests ?? []).map((test): PolicyTest => ({ from: test.from, ...test.to, expect: test.expect })),
  };
}

function portsOf(written: z.output<typeof servicePorts>): Pick<Service, 'ports' | 'autoPorts'> {
  const ports = written.filter((each): each is PortRange => !('auto' in each));
  return { ports, ...(ports.length < written.length && { autoPorts: true }) };
}

/** Reads "redis:6379" and "statsd:8125/udp". */
function parseTestTarget(input: unknown): DestinationName | string {
  if (typeof input !== 'string') return expected('SERVICE:PORT, such as "redis:6379" or "statsd:8125/udp"', input);
  return orSentence(() => parseDestination(input));
}

/** `services.redis.ports[0]` as the steps services, redis, ports, 0. */
function parseField(field: string): Path {
  return field.split('.').flatMap((step): (string | number)[] => {
    const [name = '', ...indexes] = step.split('[');
    return [...(name === '' ? [] : [name]), ...indexes.map((index) => Number.parseInt(index, 10))];
  });
}
