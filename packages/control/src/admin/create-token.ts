/** A join token for who may order one, by whatever way the order came. */
import { type FieldProblem, hostInterfaces, problem, runsNothing } from '@weft/proto';
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import { createJoinToken, type NewToken, replaceJoinToken } from '../enroll/tokens.ts';
import type { ReplacedToken, StateStore } from '../state/types.ts';
import { readAll } from './errors.ts';
import { readName, readReplacement, readTokenNetwork, readTokenOrder, type TokenRequest } from './request.ts';
import { tokenAddresses } from './token-addresses.ts';

export interface CreateTokenOptions {
  readonly state: StateStore;
  /** Of control's key, 32 bytes. */
  readonly pin: Uint8Array;
  readonly advertise: readonly string[];
  /** Where control listens; asked at each call, since a port of 0 is settled only by listening. */
  readonly listening: () => { readonly host: string; readonly port: number };
  readonly logger: Logger;
}

export interface TokenOrderer {
  readonly actor: Actor;
  /** The host, and the port if it is one of gRPC's, that the order reached control by; empty when it tells nothing. */
  readonly authority: string;
}

/** Rejects with RequestError, StateError. */
export async function createToken(
  options: CreateTokenOptions,
  request: TokenRequest,
  by: TokenOrderer,
): Promise<NewToken & { readonly warnings: readonly FieldProblem[] }> {
  const { state, pin, logger } = options;
  const { network, order } = readAll({
    network: () => readTokenNetwork(state.current, request.network),
    order: () => readTokenOrder(request),
  });
  const { lifetimeMs, addresses: requested } = order;
  const scope = { ...order.scope, network };
  const addresses = whereControlIs(options, requested, by);
  const actor = actorName(by.actor);
  const absent = request.newNetwork ? 'make' : 'refuse';
  const made = await createJoinToken(state, { scope, lifetimeMs, addresses, pin, actor, absent });
  const { id: token, networkCreated } = made.token;
  logger.info({ event: 'token-created', network, token, networkCreated, actor }, 'join token created');
  const mesh = state.current.networks.get(network)?.mesh ?? { services: [] };
  const warnings = scope.services.flatMap((entry, index) => {
    const nothing = runsNothing(entry, mesh);
    return nothing === undefined ? [] : [problem(`services[${index}]`, `${nothing} yet`)];
  });
  return { ...made, warnings };
}

function whereControlIs(
  { advertise, listening }: CreateTokenOptions,
  requested: readonly string[],
  { authority }: TokenOrderer,
): readonly string[] {
  return tokenAddresses({
    requested,
    advertise,
    listen: listening(),
    authority,
    interfaces: hostInterfaces() ?? {},
  });
}

/** Which token is to be replaced, and how; unchecked. */
export interface Replacement extends Pick<TokenRequest, 'ttl' | 'addresses'> {
  readonly tokenId: string;
}

/** Rejects with RequestError, StateError. */
export async function replaceToken(
  options: CreateTokenOptions,
  request: Replacement,
  by: TokenOrderer,
): Promise<ReplacedToken & { readonly text: string }> {
  const { state, pin, logger } = options;
  const { id, replacement } = readAll({
    id: () => readName(request.tokenId, 'token_id'),
    replacement: () => readReplacement(request),
  });
  const { lifetimeMs, addresses: requested } = replacement;
  const addresses = whereControlIs(options, requested, by);
  const actor = actorName(by.actor);
  const made = await replaceJoinToken(state, { id, lifetimeMs, addresses, pin, actor });
  const { token, hosts, revision } = made;
  logger.info(
    { event: 'token-replaced', network: token.network, token: id, replacedBy: token.id, hosts, revision, actor },
    'join token replaced',
  );
  return made;
}
