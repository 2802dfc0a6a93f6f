/**
 * What things may be called, and what listeners are. Each `...Problem` function says what is expected, or nothing when the
 * name is good.
 */
import type { DestinationName, PortRange } from './mesh.ts';
import type { Problem } from './report.ts';

/** Leaves room for `-discovery` in a DNS label of 63. */
const MAX_SERVICE_NAME = 50;
const MAX_HOST_NAME = 63;

const serviceForm = /^[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?$/;
const hostForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const wordForm = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})$/;
const userForm = /^[a-z_][a-z0-9_-]{0,31}$/;
const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Names that the zone, or the policy language, uses for something else. */
const reserved: ReadonlySet<string> = new Set(['host', 'internal', 'internet']);

/** What is wrong with a service's or a network's name. */
export function serviceNameProblem(name: string): string | undefined {
  if (!serviceForm.test(name)) {
    return `expected 1 to ${MAX_SERVICE_NAME} lower case letters, digits and hyphens, starting with a letter and not ending in a hyphen`;
  }
  if (name.endsWith('-discovery')) return 'a name ending in -discovery stands for the instances of another service';
  if (reserved.has(name)) return `${name} is reserved; choose another name`;
  return undefined;
}

export function isServiceName(name: string): boolean {
  return serviceNameProblem(name) === undefined;
}

/** What is wrong with a host's name, as in host:NAME and NAME.host.internal. */
export function hostNameProblem(name: string): string | undefined {
  if (hostForm.test(name)) return undefined;
  return `expected 1 to ${MAX_HOST_NAME} lower case letters, digits and hyphens, starting and ending with a letter or digit`;
}

export function isHostName(name: string): boolean {
  return hostNameProblem(name) === undefined;
}

/** A valid host name as close as can be to what the system calls itself: its first label, cleaned. */
export function toHostName(text: string): string {
  const label = (text.split('.')[0] ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const trimmed = label.replace(/^-+/, '').slice(0, MAX_HOST_NAME).replace(/-+$/, '');
  return trimmed === '' ? 'unnamed' : trimmed;
}

/** What is wrong with a policy's name. `default` would be mistaken for the default in a record. */
export function ruleNameProblem(name: string): string | undefined {
  if (name === 'default') return 'default is reserved; choose another name';
  return tagProblem(name);
}

/** What is wrong with a tag. */
export function tagProblem(tag: string): string | undefined {
  return wordForm.test(tag)
    ? undefined
    : 'expected 1 to 63 letters, digits, dots, underscores and hyphens, starting with a letter or digit';
}

/** What is wrong with the name of a user of a host, as useradd(8) takes it. */
export function userNameProblem(name: string): string | undefined {
  return userForm.test(name)
    ? undefined
    : 'expected 1 to 32 lower case letters, digits, underscores and hyphens, starting with a letter or an underscore';
}

/** What is wrong with a public host name, as it stands in an HTTP Host without its port. */
export function publicHostProblem(host: string): string | undefined {
  if (host.length > 253) return 'expected at most 253 characters';
  return host.split('.').every((label) => dnsLabel.test(label))
    ? undefined
    : 'expected a host name such as shop.example.com, without scheme, port, path or wildcard';
}

/** Codes of the problems of one listener, which has one at a time; their subject is the listener's name. */
export const LISTENER_PROBLEMS = [
  'port-taken',
  'port-privileged',
  'address-unavailable',
  'too-many-files',
  'port-shared',
  'port-awaited',
  'listen-failed',
] as const;

export type ListenerProblemCode = (typeof LISTENER_PROBLEMS)[number];

export interface ListenerPlace extends DestinationName {
  /** Undefined on the service's own VIP. */
  readonly ordinal: number | undefined;
}

/** Such as `redis:6379/tcp`, or `0.redis:6379/tcp` for an instance: how problems name the listener. */
export function listenerName({ service, ordinal, port, protocol }: ListenerPlace): string {
  return `${ordinal === undefined ? '' : `${ordinal}.`}${service}:${port}/${protocol}`;
}

/** What is wrong with the listener of the place, of those problems; one that is `closed` takes no call. */
export function listenerProblem(
  problems: readonly Problem[],
  place: ListenerPlace,
): { readonly closed: boolean; readonly message: string } | undefined {
  const name = listenerName(place);
  const found = problems.find(
    ({ code, subject }) => subject === name && LISTENER_PROBLEMS.some((each) => each === code),
  );
  return found && { closed: found.code !== 'port-shared', message: found.message };
}

/** Code of the problem of a service's ports at which no program takes calls; its subject is their name. */
export const TARGET_PROBLEM = 'target-not-listening';

/**
 * Code of the problem of a service in whose place a program of another user listens. Its subject is the name of the ports where that is not
 * called, as the agent file says whose the place is; else the service.
 */
export const PLACE_PROBLEM = 'place-taken';

/** Such as `redis:6379/tcp`, or `redis:7001-7003/tcp` for neighbours. */
export function portsName(service: string, { protocol, first, last }: PortRange): string {
  return `${service}:${first === last ? first : `${first}-${last}`}/${protocol}`;
}

/** Whether the port is among those of the name. */
export function isOfPorts(name: string, { service, port, protocol }: DestinationName): boolean {
  const [, of, first, last, transport] = /^(.+):(\d+)(?:-(\d+))?\/(tcp|udp)$/.exec(name) ?? [];
  return of === service && transport === protocol && Number(first) <= port && port <= Number(last ?? first);
}
