/** What the admin service takes from requests, checked. Every problem of a request is collected before it is refused. */
import {
  ADMIN_LIMITS,
  byText,
  type FieldProblem,
  hostNameProblem,
  LIMITS,
  parseHostPort,
  problem,
  problemIf,
  runnableProblem,
  serviceNameProblem,
} from '@weft/proto';
import { durationFromWire, type pb, rolesFromWire } from '@weft/proto/wire';
import { StateError } from '../state/errors.ts';
import type { NetworkState, State, TokenScope } from '../state/types.ts';
import { RequestError, readAll } from './errors.ts';

const DEFAULT_TTL_SECONDS = 3_600;
const DEFAULT_WAIT_MS = 10_000;

/** The network named, or the only one there is: one that nobody uses yet may be the one that was meant. */
export function requireNetwork(state: State, name: string): NetworkState {
  if (readNetworkName(name) !== '') {
    const network = state.networks.get(name);
    if (network !== undefined) return network;
    const there = state.networks.size > 0 ? `; there are: ${[...state.networks.keys()].sort(byText).join(', ')}` : '';
    throw new StateError('no-such-network', `there is no network ${name}${there}; weft apply makes one`, [], {
      network: name,
    });
  }
  const [only, ...others] = state.networks.values();
  if (only === undefined) throw new StateError('no-such-network', 'there is no network yet; weft apply makes one');
  if (others.length === 0) return only;
  const names = [...state.networks.keys()].sort(byText).join(', ');
  throw new RequestError([problem('network', `several networks here (${names}): name one (--network)`)]);
}

/** The name of a network, there or not; empty where none is said. */
export function readNetworkName(name: string): string {
  const wrong = name === '' ? undefined : serviceNameProblem(name);
  if (wrong !== undefined) throw new RequestError([problem('network', wrong)]);
  return name;
}

/** Name of the network that a token is for: the one named, which need not be there yet, or the only one there is. */
export function readTokenNetwork(state: State, name: string): string {
  if (readNetworkName(name) !== '') return name;
  if (state.networks.size > 0) return requireNetwork(state, '').name;
  throw new StateError(
    'no-such-network',
    'there is no network yet; weft apply makes one, and so does --network NAME with --new-network',
  );
}

/** The network of an agent to revoke. Identifiers are unique over all networks; no host name has an underscore. */
export function requireNetworkOfAgent(state: State, name: string, agent: string): NetworkState {
  if (name !== '' || !agent.startsWith('ag_')) return requireNetwork(state, name);
  const network = state.networks.get(state.agents.get(agent) ?? '');
  if (network !== undefined) return network;
  throw new StateError('no-such-agent', `there is no agent ${agent}; see weft agents`, [], { agent });
}

/** All networks, or the one named. */
export function selectNetworks(state: State, name: string): NetworkState[] {
  return name === '' ? [...state.networks.values()] : [requireNetwork(state, name)];
}

/** A token as it is ordered, unchecked. Empty and 0 for what does not matter. */
export interface TokenRequest extends Omit<TokenScope, 'roles'> {
  readonly roles: readonly number[];
  /** Whether the network is to be made where it is not there. */
  readonly newNetwork: boolean;
  readonly ttl?: pb.Outgoing<pb.Duration> | null | undefined;
  /** Where control may be reached, HOST:PORT; control knows itself when there are none. */
  readonly addresses: readonly string[];
}

/** A token's time and where it leads; no time is that of the token before. Throws RequestError, WireError. */
export function readReplacement(request: Bearing): {
  readonly lifetimeMs: number | undefined;
  readonly addresses: readonly string[];
} {
  const { ttlSeconds, addresses } = readBearing(request);
  return { lifetimeMs: ttlSeconds === 0 ? undefined : ttlSeconds * 1_000, addresses };
}

type Bearing = Pick<TokenRequest, 'ttl' | 'addresses'>;

function readBearing({ ttl, addresses }: Bearing): {
  readonly ttlSeconds: number;
  readonly addresses: readonly string[];
} {
  return readAll({ ttlSeconds: () => readTtl(ttl), addresses: () => readAddresses(addresses) });
}

/** Whole seconds; 0 where none is said. */
function readTtl(ttl: Bearing['ttl']): number {
  const { tokenSeconds } = ADMIN_LIMITS;
  const ttlMs = durationFromWire(ttl, 'ttl');
  if (ttlMs !== undefined && ttlMs <= 0) throw new RequestError([problem('ttl', 'expected more than 0 s')]);
  const seconds = Math.ceil((ttlMs ?? 0) / 1_000);
  if (seconds > tokenSeconds) throw new RequestError([problem('ttl', `expected at most ${tokenSeconds} s (a year)`)]);
  return seconds;
}

function readAddresses(addresses: readonly string[]): readonly string[] {
  const { tokenAddresses } = ADMIN_LIMITS;
  return requireNone(addresses, [
    ...problemIf(addresses.length > tokenAddresses, 'addresses', `expected at most ${tokenAddresses} addresses`),
    ...addresses.slice(0, tokenAddresses).flatMap((address, index) => {
      const isNone = (parseHostPort(address)?.port ?? 0) === 0;
      return problemIf(isNone, `addresses[${index}]`, 'expected HOST:PORT');
    }),
  ]);
}

function requireNone<T>(value: T, problems: readonly FieldProblem[]): T {
  if (problems.length > 0) throw new RequestError(problems);
  return value;
}

/** The same, checked. */
export interface TokenOrder {
  readonly scope: Omit<TokenScope, 'network'>;
  readonly lifetimeMs: number;
  readonly addresses: readonly string[];
}

/** But for its network. Throws RequestError, WireError. */
export function readTokenOrder(request: TokenRequest): TokenOrder {
  const { reusable, ephemeral } = request;
  const { services, host, roles, bearing } = readAll({
    services: () => readServices(request.services),
    host: () => readHost(request.host),
    roles: () => rolesFromWire(request.roles, 'roles'),
    bearing: () => readBearing(request),
  });
  return {
    scope: { services, host, roles, reusable, ephemeral },
    lifetimeMs: (bearing.ttlSeconds || DEFAULT_TTL_SECONDS) * 1_000,
    addresses: bearing.addresses,
  };
}

/** Empty for any. */
function readHost(host: string): string {
  const wrong = host === '' ? undefined : hostNameProblem(host);
  if (wrong !== undefined) throw new RequestError([problem('host', wrong)]);
  return host;
}

export const readWait = upTo(ADMIN_LIMITS.waitMs, 'terms.timeout', DEFAULT_WAIT_MS, 'ms');

/** 0 stands for what is usual. */
function upTo(most: number, field: string, usual: number, unit = ''): (value: number) => number {
  return (value) => {
    if (value >= 0 && value <= most) return value || usual;
    throw new RequestError([problem(field, `expected at most ${[most, unit].join(' ').trim()}`)]);
  };
}

/** A host name or an identifier that control made. */
export function readName(name: string, field: string): string {
  if (typeof name === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(name)) return name;
  throw new RequestError([problem(field, 'expected a name or an identifier')]);
}

/** Entries that say what may be run. */
export function readServices(services: readonly string[]): readonly string[] {
  const { runnable: most } = LIMITS;
  return requireNone(services, [
    ...problemIf(services.length > most, 'services', `expected at most ${most} services`),
    ...services.slice(0, most).flatMap((entry, index) => {
      const wrong = runnableProblem(entry);
      return wrong === undefined ? [] : [problem(`services[${index}]`, wrong)];
    }),
  ]);
}
