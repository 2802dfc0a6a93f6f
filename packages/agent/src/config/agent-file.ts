/** The agent file: what runs on this host. Its position-bearing errors come from the schema. */
import { isIP } from 'node:net';
import {
  type AgentRole,
  defined,
  formatHostPort,
  type HostPort,
  normalHost,
  type Protocol,
  publicHostProblem,
  serviceNameProblem,
  tagProblem,
} from '@weft/proto';
import { z } from 'zod';
import type { ProcessMatch } from '../words/owner.ts';
import { parseYaml, readYamlFile, type YamlFile } from './document.ts';
import { FileError, type FileProblem } from './errors.ts';
import {
  ALSO_NULL,
  expected,
  HOST_PORT_FORM,
  list,
  maybe,
  named,
  parsed,
  parseHostPort,
  parsePort,
  parseResolver,
  prefix,
  section,
  text,
  validate,
} from './schema.ts';

/** Where one port of a service is served on this host. */
export interface AgentTarget {
  readonly port: number;
  /** `any` when the file names the port alone: then it is meant for each transport that the service declares it for. */
  readonly protocol: Protocol | 'any';
  /** IP address, without brackets; or `localhost`, which is 127.0.0.1, then ::1. */
  readonly host: string;
  readonly targetPort: number;
}

/** One service of this host. Ports without a target are served at 127.0.0.1, then ::1, at the same port. */
export interface AgentService {
  readonly name: string;
  readonly targets: readonly AgentTarget[];
  readonly match?: ProcessMatch;
  /** The file does not name it: its programs are in sandboxes alone, and no other process of this host is of it. */
  readonly shutIn?: true;
}

export interface AgentFile {
  /** By name. */
  readonly services: ReadonlyMap<string, AgentService>;
  /** Set only on a gateway. */
  readonly gateway?: { readonly http: HostPort };
  /** Where this host stands, such as eu-west-1a: told in the flow records that it writes. */
  readonly zone?: string;
  readonly dns?: {
    /** Who answers names outside the network, in the order to ask; the host's resolv.conf says when left out. */
    readonly upstream?: readonly HostPort[];
    /** Domains that answer by addresses of loopback and mean it, such as zen.spamhaus.org. */
    readonly private?: readonly string[];
  };
  readonly exposure?: {
    /** Ports of this host's programs that are meant to be reached past Weft. */
    readonly allow: readonly AllowedPort[];
    /** Whether other agents of the network may try what is exposed here. */
    readonly triedByPeers: boolean;
  };
}

export interface AllowedPort {
  readonly port: number;
  readonly protocol: Protocol;
}

/** Whether the port is meant to be reached past Weft. */
export function isAllowed({ exposure }: AgentFile, protocol: Protocol, port: number): boolean {
  return exposure?.allow.some((each) => each.port === port && each.protocol === protocol) === true;
}

/** What the agent must be permitted to be, for what its file asks for. */
export function rolesOf(file: AgentFile): AgentRole[] {
  return file.gateway === undefined ? [] : ['gateway'];
}

/** What an agent without a file has: no services and no gateway. */
export const EMPTY_AGENT_FILE: AgentFile = { services: new Map() };

const TAGS =
  'tags are given in the mesh file and not here, so that a host cannot choose its own rights: ' +
  'agents: { HOST: { tags: [..] } }';

function matchWord(what: string, form: RegExp) {
  return text(what)
    .regex(form, { error: (issue) => expected(what, issue.input) })
    .optional();
}

const serviceSection = section(
  {
    targets: named(parsed(parseTarget, HOST_PORT_FORM), 'ports to HOST:PORT', {
      pattern: '^[0-9]{1,5}(/(tcp|udp))?$',
    })
      .optional()
      .describe('Where each port is served, HOST:PORT; one left out is at 127.0.0.1, then ::1, same port.'),
    match: section({
      user: matchWord("a user's name, or its number in quotes", /^[^\s:]{1,256}$/).describe('Of a user.'),
      unit: matchWord('a systemd unit, such as mailer.service', /^[^\s/]{1,256}$/).describe('In a unit of the system.'),
      cgroup: matchWord('the path of a control group, such as /jobs/mailer', /^\/[^\s]{1,4095}$/).describe(
        'In a control group, or one below it.',
      ),
      command: matchWord("a program's file, by its path or its name", /^[^\0]{0,4095}[^\0/]$/).describe(
        "Running this file; a script's is its interpreter.",
      ),
    })
      .optional()
      .describe('How its processes are known: all that is said must hold.'),
  },
  {
    tags: TAGS,
    kind: 'a kind is declared in the mesh file, not here',
    ports:
      'ports are declared in the mesh file; here "targets" says where they are served, such as { 6379: "127.0.0.1:6379" }',
  },
);

/** The agent file's form; descriptions are what editors show. */
export const fileSection = section(
  {
    services: maybe(
      named(z.preprocess((input) => input ?? {}, serviceSection).meta({ [ALSO_NULL]: true }), 'services'),
    ).describe('Services that run on this host, by name.'),
    gateway: section({
      http: parsed((input) => parseHostPort(input, 'free-port'), HOST_PORT_FORM).describe(
        'Where the internet comes in, HOST:PORT.',
      ),
    })
      .optional()
      .describe('Lets the internet in, to web services only; the token must permit it.'),
    zone: parsed(readZone, { type: 'string' })
      .optional()
      .describe('Where this host stands, such as eu-west-1a: told in the flow records that it writes.'),
    dns: section({
      upstream: list(parsed(parseResolver, { type: 'string' }), 'resolvers')
        .min(1, 'expected a resolver at least')
        .optional()
        .describe('Who answers names outside internal, instead of what resolv.conf says: 10.0.0.2 or 10.0.0.2:5353.'),
      private: list(parsed(readDomain, { type: 'string' }), 'domains')
        .optional()
        .describe('Domains that answer by addresses of loopback and mean it, such as zen.spamhaus.org.'),
    })
      .optional()
      .describe('Who answers names outside the network.'),
    exposure: section({
      allow: list(parsed(readAllowed, { type: ['integer', 'string'] }), 'ports')
        .optional()
        .describe(
          'Ports of programs here that are meant to be reached past Weft: 443 or 8125/udp; not told, not closed.',
        ),
      'tried-by-peers': z
        .boolean({ error: (issue) => expected('true or false', issue.input) })
        .optional()
        .describe('Whether other hosts of the network try what is exposed here, and report what answers.'),
    })
      .optional()
      .describe('What others reach of this host past Weft.'),
  },
  { tags: TAGS, agents: 'hosts are declared in the mesh file, not here' },
);

/** Reads an agent file. Throws FileError with every mistake. */
export async function readAgentFile(file: string): Promise<AgentFile> {
  return toAgentFile(await readYamlFile(file));
}

/** Parses the text of an agent file; `file` names it in errors. Throws FileError with every mistake. */
export function parseAgentFile(file: string, content: string): AgentFile {
  return toAgentFile(parseYaml(file, content));
}

/** Throws FileError with every mistake. */
export function toAgentFile(yaml: YamlFile): AgentFile {
  // An empty file is a host that runs nothing, and that is no mistake.
  if (yaml.value === null || yaml.value === undefined) return EMPTY_AGENT_FILE;
  const value = validate(yaml, fileSection);
  const problems: FileProblem[] = [];
  const services = new Map<string, AgentService>();
  for (const [name, declared] of Object.entries(value.services ?? {})) {
    const path = ['services', name];
    const problem = serviceNameProblem(name);
    if (problem !== undefined)
      problems.push({ ...yaml.locateKey(['services'], name), message: prefix(path) + problem });
    const targets = Object.entries(declared.targets ?? {}).flatMap(([key, target]): AgentTarget[] => {
      const port = parsePort(key);
      if (typeof port !== 'string') {
        const protocol = key.includes('/') ? port.protocol : 'any';
        return [{ port: port.port, protocol, host: target.host, targetPort: target.port }];
      }
      problems.push({ ...yaml.locateKey([...path, 'targets'], key), message: prefix([...path, 'targets']) + port });
      return [];
    });
    for (const twice of repeated(targets)) {
      const where = [...path, 'targets'];
      problems.push({
        ...yaml.locate(where),
        message: `${prefix(where)}port ${twice.port}${twice.protocol === 'any' ? '' : `/${twice.protocol}`} has two targets, expected one`,
      });
    }
    if (declared.match !== undefined && Object.keys(declared.match).length === 0) {
      const where = [...path, 'match'];
      problems.push({ ...yaml.locate(where), message: `${prefix(where)}expected user, unit, cgroup or command` });
    }
    const match = Object.fromEntries(Object.entries(declared.match ?? {}).filter(([, word]) => word !== undefined));
    services.set(name, { name, targets, ...(declared.match === undefined ? {} : { match }) });
  }
  if (problems.length > 0) throw new FileError('file-invalid', yaml.file, problems);
  const dns =
    value.dns && defined({ upstream: value.dns.upstream, private: value.dns.private?.map(({ name }) => name) });
  const exposure = value.exposure && {
    allow: value.exposure.allow ?? [],
    triedByPeers: value.exposure['tried-by-peers'] ?? false,
  };
  return { services, ...defined({ gateway: value.gateway, zone: value.zone?.name, dns, exposure }) };
}

function readAllowed(input: unknown): AllowedPort | string {
  const read = typeof input === 'number' || typeof input === 'string' ? parsePort(String(input)) : '';
  return typeof read === 'string' ? expected('a port, such as 443 or 8125/udp', input) : read;
}

function readDomain(input: unknown): { readonly name: string } | string {
  const good = typeof input === 'string' && publicHostProblem(input) === undefined && input.includes('.');
  return good ? { name: input } : expected('a domain, such as zen.spamhaus.org', input);
}

function readZone(input: unknown): { readonly name: string } | string {
  const problem = typeof input === 'string' ? tagProblem(input) : 'expected a name';
  return problem === undefined ? { name: String(input) } : `not a zone: ${problem}`;
}

/** Targets are dialled from the caller's own loopback address, so a name that might resolve to anything else is refused. */
function parseTarget(input: unknown): HostPort | string {
  const address = parseHostPort(input);
  if (typeof address === 'string' || address.host === 'localhost') return address;
  // In the form that the system has it, for it is compared: [::ffff:127.0.0.1] is 127.0.0.1.
  if (isIP(address.host) !== 0) return { ...address, host: normalHost(address.host) ?? address.host };
  return `expected an IP address and port, such as 127.0.0.1:${address.port}, found the name ${formatHostPort(address.host, address.port)}`;
}

function repeated(targets: readonly AgentTarget[]): readonly AgentTarget[] {
  const same = (left: AgentTarget, right: AgentTarget) => left.port === right.port && left.protocol === right.protocol;
  return targets.filter((target, index) => targets.findIndex((other) => same(other, target)) < index);
}
