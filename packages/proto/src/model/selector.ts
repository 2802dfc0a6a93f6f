/** Selectors, and the caller and destination as people write them. */

import type { Source } from '../policy/types.ts';
import { FormatError } from './errors.ts';
import { type DestinationName, KINDS, type Kind, type Mesh, type RulePorts, type Service } from './mesh.ts';
import { hostNameProblem, serviceNameProblem, tagProblem, userNameProblem } from './names.ts';
import { parsePort, parseRulePorts } from './ports.ts';
import { quote } from './problem.ts';

export function isKind(text: string): text is Kind {
  return (KINDS as readonly string[]).includes(text);
}

/** One sort of selector: all that is known of it. */
interface SelectorSort {
  /** As it stands in help and errors. */
  readonly form: string;
  /** What is wrong with the text behind `word:`, or with the whole text of a bare one. */
  readonly problem: (name: string) => string | undefined;
  /** The names by which it selects a caller. */
  readonly ofSource: (source: Source) => readonly string[];
  /** The names by which it selects a service that is called; none for what receives nothing by itself. */
  readonly ofService: ((service: Service) => readonly string[]) | undefined;
}

/** By the word before the colon; `service` has none, and `internet` is all there is of it. */
const SORTS = {
  service: {
    form: 'a service name',
    problem: serviceNameProblem,
    ofSource: (source) => (source.type === 'service' ? [source.service.name] : []),
    ofService: ({ name }) => [name],
  },
  kind: {
    form: 'kind:KIND',
    problem: (name) =>
      isKind(name) ? undefined : `not a kind; expected ${KINDS.map((kind) => `kind:${kind}`).join(', ')}`,
    ofSource: (source) => (source.type === 'service' ? [source.service.kind] : []),
    ofService: ({ kind }) => [kind],
  },
  host: {
    form: 'host:NAME',
    problem: hostNameProblem,
    ofSource: (source) => (source.type === 'host' ? [source.name] : []),
    ofService: undefined,
  },
  tag: {
    form: 'tag:NAME',
    problem: tagProblem,
    ofSource: (source) => (source.type === 'service' ? source.service.tags : source.type === 'host' ? source.tags : []),
    ofService: ({ tags }) => tags,
  },
  internet: {
    form: 'internet',
    problem: () => undefined,
    ofSource: (source) => (source.type === 'internet' ? ['internet'] : []),
    ofService: undefined,
  },
  user: {
    form: 'user:NAME',
    problem: userNameProblem,
    // Whoever calls may be of any user: see Policy.decide.
    ofSource: () => [],
    ofService: undefined,
  },
} as const satisfies Record<string, SelectorSort>;

export type SelectorType = keyof typeof SORTS;

export type Selector = { readonly type: 'any' } | { readonly type: SelectorType; readonly name: string };

const types = Object.keys(SORTS) as SelectorType[];
const sorts: Readonly<Record<SelectorType, SelectorSort>> = SORTS;

/** The forms of a selector, such as for help: of those that select callers, or those that select services called. */
export function selectorForms(of: 'from' | 'to'): string {
  const forms = types.filter((type) => of === 'from' || sorts[type].ofService !== undefined);
  const words = forms.map((type) => sorts[type].form);
  return `${(of === 'to' ? [...words, 'SERVICE:PORT'] : words).join(', ')} or *`;
}

/** `of`: the side of a rule that an error is to advise on. Reads a service name, `kind:web`, `host:NAME`, `tag:NAME`, `internet`, `user:NAME` or `*`. Throws FormatError `bad-selector`. */
export function parseSelector(text: string, of: 'from' | 'to' = 'from'): Selector {
  if (text === '*') return { type: 'any' };
  const colon = text.indexOf(':');
  const bare: SelectorType = text === 'internet' ? 'internet' : 'service';
  const word = colon === -1 ? bare : text.slice(0, colon);
  const type = types.find((known) => known === word && isBare(known) === (colon === -1));
  const expected = `expected ${selectorForms(of)}`;
  if (type === undefined) throw new FormatError('bad-selector', `${quote(text)} selects nothing; ${expected}`);
  const name = text.slice(colon + 1);
  const wrong = sorts[type].problem(name);
  if (wrong !== undefined) throw new FormatError('bad-selector', `${quote(text)}: ${wrong}; ${expected}`);
  return { type, name };
}

/** The name in `user:NAME`; undefined for any other selector. */
export function userOf(text: string): string | undefined {
  return text.startsWith('user:') ? text.slice('user:'.length) : undefined;
}

function isBare(type: SelectorType): boolean {
  return type === 'service' || type === 'internet';
}

/** A service that a rule's `to` names with ports of it. */
export interface PortedSelector {
  readonly service: string;
  readonly ports: RulePorts;
}

/** `rabbit:15672`, `statsd:8125/udp`, `sip:5060-5070`: undefined for every other selector, `tag:2024` among them. Throws FormatError. */
export function parsePortedSelector(text: string): PortedSelector | undefined {
  const [, service = '', ports = ''] = /^([^:]*):(\d.*)$/.exec(text) ?? [];
  if (ports === '' || isPrefixed(service, ports)) return undefined;
  const wrong = serviceNameProblem(service);
  if (wrong !== undefined) throw new FormatError('bad-selector', `${quote(text)}: ${wrong}; expected SERVICE:PORT`);
  return { service, ports: parseRulePorts(ports) };
}

/** Whether what stands behind a colon can be the name of something of this sort, as a tag or a host may be called `80`. */
function isPrefixed(word: string, name: string): boolean {
  return types.some((type) => type === word && !isBare(type) && sorts[type].problem(name) === undefined);
}

/** Why no rule could name a port of a service that is called so: it would be read as another selector. */
export function unportableProblem(service: string): string | undefined {
  return isPrefixed(service, '80') ? `${service}:PORT in a rule selects by ${service}; choose another name` : undefined;
}

/** The same, undefined for what cannot be read too. */
export function portedSelector(text: string): PortedSelector | undefined {
  return readable(() => parsePortedSelector(text));
}

/** Undefined for what cannot be read. */
export function readSelector(text: string): Selector | undefined {
  return readable(() => parseSelector(text));
}

function readable<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

/** Why a selector cannot stand in a rule's `from` or `to`, though it can be read. */
export function selectorProblem({ type }: Selector, at: 'from' | 'to'): string | undefined {
  if (type === 'any') return undefined;
  if (at === 'to' && sorts[type].ofService === undefined) {
    return `${type === 'internet' ? 'the internet' : `a ${type}`} receives nothing by itself; expected ${selectorForms('to')}`;
  }
  return undefined;
}

/** The texts of all selectors that select the caller. */
export function selectorsOfSource(source: Source): string[] {
  return ['*', ...types.flatMap((type) => sorts[type].ofSource(source).map((name) => textOf(type, name)))];
}

/** The texts of all selectors that select the service when it is called. */
export function selectorsOfService(service: Service): string[] {
  return ['*', ...types.flatMap((type) => (sorts[type].ofService?.(service) ?? []).map((name) => textOf(type, name)))];
}

function textOf(type: SelectorType, name: string): string {
  return isBare(type) ? name : `${type}:${name}`;
}

/** Reads `redis:6379` or `statsd:8125/udp`. Throws FormatError `bad-destination`. */
export function parseDestination(text: string): DestinationName {
  const match = /^([^:]{1,63}):(\d{1,5}(?:\/(?:tcp|udp))?)$/.exec(text);
  const problem = match === null ? 'not SERVICE:PORT' : serviceNameProblem(match[1] ?? '');
  if (match === null || problem !== undefined) {
    throw new FormatError('bad-destination', `${quote(text)}: ${problem}; expected SERVICE:PORT or SERVICE:PORT/udp`);
  }
  const range = parsePort(match[2] ?? '');
  return { service: match[1] ?? '', port: range.first, protocol: range.protocol };
}

/** Names of the services that a host may run, whether they are declared or not; none of a host that is not known. */
export type MayRun = (host: string) => readonly string[];

/**
 * The caller that `web`, `host:NAME` or `internet` stands for. A host carries the tags that the mesh gives it, whether it
 * has joined or not. Undefined when there is no such service, or the text is no caller at all.
 */
export function resolveSource(
  text: string,
  mesh: Pick<Mesh, 'services' | 'agents'>,
  mayRun: MayRun,
): Source | undefined {
  if (text === 'internet') return { type: 'internet' };
  if (text.startsWith('host:')) {
    const name = text.slice('host:'.length);
    if (hostNameProblem(name) !== undefined) return undefined;
    const tags = mesh.agents.find((agent) => agent.name === name)?.tags ?? [];
    const may = new Set(mayRun(name));
    return { type: 'host', name, tags, services: mesh.services.filter((service) => may.has(service.name)) };
  }
  const service = findService(mesh, text);
  return service === undefined ? undefined : { type: 'service', service };
}

export function findService(mesh: Pick<Mesh, 'services'>, name: string): Service | undefined {
  return mesh.services.find((service) => service.name === name);
}

/** `web`, `host:build-3` or `internet`: how a source is written in records, the CLI and the API. */
export function sourceName(source: Source): string {
  switch (source.type) {
    case 'service':
      return source.service.name;
    case 'host':
      return `host:${source.name}`;
    case 'internet':
      return 'internet';
  }
}
