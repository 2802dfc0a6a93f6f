/** Selectors, and the caller and destination as people write them. */

import type { Source } from '../policy/types.ts';
import { FormatError } from './errors.ts';
import type { Kind, Mesh, Protocol, Service } from './mesh.ts';
import { hostNameProblem, serviceNameProblem, tagProblem } from './names.ts';
import { parsePort } from './ports.ts';
import { quote } from './problem.ts';

export type Selector =
  | { readonly type: 'any' }
  | { readonly type: 'service'; readonly name: string }
  | { readonly type: 'kind'; readonly kind: Kind }
  | { readonly type: 'host'; readonly name: string }
  | { readonly type: 'tag'; readonly name: string };

const kinds: readonly string[] = ['web', 'private', 'worker'] satisfies Kind[];
const expected = 'expected a service name, kind:web, kind:private, kind:worker, host:NAME, tag:NAME or *';

export function isKind(text: string): text is Kind {
  return kinds.includes(text);
}

/** Reads a service name, `kind:web`, `host:NAME`, `tag:NAME` or `*`. Throws FormatError `bad-selector`. */
export function parseSelector(text: string): Selector {
  if (text === '*') return { type: 'any' };
  const colon = text.indexOf(':');
  if (colon === -1) {
    check(text, text === 'internet' ? 'the internet is selected by *' : serviceNameProblem(text));
    return { type: 'service', name: text };
  }
  const name = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'kind':
      if (isKind(name)) return { type: 'kind', kind: name };
      break;
    case 'host':
      check(text, hostNameProblem(name));
      return { type: 'host', name };
    case 'tag':
      check(text, tagProblem(name));
      return { type: 'tag', name };
  }
  throw new FormatError('bad-selector', `${quote(text)} selects nothing; ${expected}`);
}

function check(text: string, problem: string | undefined): void {
  if (problem !== undefined) throw new FormatError('bad-selector', `${quote(text)}: ${problem}; ${expected}`);
}

/** What `weft explain` and policy tests call: a service and one of its ports. */
export interface DestinationName {
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
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

/**
 * The caller that `web`, `host:NAME` or `internet` stands for. A host carries the tags that the mesh gives it, whether it
 * has joined or not. Undefined when there is no such service, or the text is no caller at all.
 */
export function resolveSource(text: string, mesh: Pick<Mesh, 'services' | 'agents'>): Source | undefined {
  if (text === 'internet') return { type: 'internet' };
  if (text.startsWith('host:')) {
    const name = text.slice('host:'.length);
    if (hostNameProblem(name) !== undefined) return undefined;
    return { type: 'host', name, tags: mesh.agents.find((agent) => agent.name === name)?.tags ?? [] };
  }
  const service = findService(mesh, text);
  return service === undefined ? undefined : { type: 'service', service };
}

export function findService(mesh: Pick<Mesh, 'services'>, name: string): Service | undefined {
  return mesh.services.find((service) => service.name === name);
}
