/** A host joins: the token is looked up, the proof checked, the name settled, and only then is anything changed. */
import {
  AGENT_ROLES,
  type AgentRole,
  type FieldProblem,
  hostNameProblem,
  isServiceName,
  LIMITS,
  listed,
  problem,
  problemIf,
  rightsIn,
} from '@weft/proto';
import { joinProofMessage, type pb, rolesFromWire, sentence, WireError } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { FailureCounter } from '../bounds/failures.ts';
import { observedHost } from '../bounds/observed.ts';
import { StateError } from '../state/errors.ts';
import { tokensOf } from '../state/member-rights.ts';
import type { AgentState, Joined, NetworkState, StateStore, TokenState } from '../state/types.ts';
import { EnrollError } from './errors.ts';
import { isSignedBy } from './signature.ts';
import { findToken, requireUsable, tokenRevoked } from './tokens.ts';

/** See JoinRequest in agent.proto for each field. */
export type JoinRequest = Readonly<Omit<pb.JoinRequest, 'capability'>>;

export interface JoinAnswer extends Pick<AgentState, 'network' | 'host' | 'ephemeral'> {
  readonly agentId: string;
}

export interface EnrollerOptions {
  readonly state: StateStore;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Refusals that one address can have logged: it says all with the first few, and must not fill the disk. */
const REFUSALS = { failures: 20, windowMs: 60_000, remembered: 1_024 };

export class Enroller {
  readonly #options: EnrollerOptions;
  readonly #refusals: FailureCounter;

  constructor(options: EnrollerOptions) {
    this.#options = options;
    this.#refusals = new FailureCounter(REFUSALS, options.now);
  }

  /** Makes the caller a member, or finds that it is one already. Rejects with EnrollError; `peer`, HOST:PORT, is for the log. */
  async join(request: JoinRequest, peer: string): Promise<JoinAnswer> {
    try {
      return await this.#join(request, peer);
    } catch (error) {
      if (error instanceof EnrollError && !this.#refusals.note(observedHost(peer))) {
        const { code, message: why } = error;
        // The token is named only where it is one of ours: what a stranger writes there is his.
        const token = this.#options.state.token(request.tokenId)?.id;
        this.#options.logger.warn({ event: 'join-refused', peer, token, code, why }, 'join refused');
      }
      throw error;
    }
  }

  async #join(request: JoinRequest, peer: string): Promise<JoinAnswer> {
    const roles = checkForm(request);
    const token = findToken(this.#options.state, request.tokenId, request.tokenSecret);
    // Only bearers of a token's secret have a signature checked for them.
    checkProof(request);
    const network = this.#options.state.current.networks.get(token.network);
    if (network === undefined) throw new Error(`token ${token.id} is for network ${token.network}, which is not there`);
    const same = agentWithKey(network, request.identityKey);
    if (same === undefined) this.#refuseOfAnother(network, request.identityKey);
    const again =
      same !== undefined && tokensOf(same).includes(token.id) && equal(same.tunnelKey, request.tunnelKey)
        ? same
        : undefined;
    // Who may not join is told nothing of what may be run here.
    if (again === undefined || token.revoked) requireUsable(token, this.#options.now());
    checkScope(token, request, roles, network, same);
    if (again !== undefined) return answer(again);
    const host = settleHost(token, request.host, same);
    const { agent, revision } = await this.#commit(token, host, request);
    this.#options.logger.info(
      { event: 'agent-joined', network: token.network, host, agent: agent.id, token: token.id, revision, peer },
      'agent joined',
    );
    return answer(agent);
  }

  /** Who joins with the keys that it has in another network would be in both, and has no directory for that. */
  #refuseOfAnother({ name }: NetworkState, identityKey: Uint8Array): void {
    for (const other of this.#options.state.current.networks.values()) {
      const holder = agentWithKey(other, identityKey);
      if (holder === undefined) continue;
      throw new EnrollError(
        'other-network',
        `the join token is of network ${name}, and this host is ${holder.host} of network ${other.name}; choose another directory ` +
          `with --data, or have a token of network ${other.name} made`,
      );
    }
  }

  async #commit(token: TokenState, host: string, request: JoinRequest): Promise<Joined> {
    const { identityKey, tunnelKey } = request;
    try {
      return await this.#options.state.join({
        token,
        host,
        identityKey,
        tunnelKey,
        version: sentence(request.version, 64),
      });
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      const { code, message } = error;
      if (code === 'no-such-token') throw tokenRevoked(this.#options.state.token(token.id) ?? token, error);
      if (code === 'revoked') throw new EnrollError('host-revoked', message, undefined, error);
      if (code === 'limit') throw new EnrollError('limit', message, undefined, error);
      if (code === 'used') {
        const advice = 'and is good for one host only; make another, or one with --reusable';
        throw new EnrollError('token-used', `join token ${token.id} was used, ${advice}`, undefined, error);
      }
      if (code !== 'taken') throw error;
      const advice = `make a token with --host NAME for another name, or end the old host with weft revoke ${host}`;
      throw new EnrollError('host-taken', `${message}; ${advice}`, 'host', error);
    }
  }
}

/** Throws EnrollError with all that is wrong with it, or the WireError of roles alone that are not known. */
function checkForm(request: JoinRequest): readonly AgentRole[] {
  const { tokenId, tokenSecret, services, host } = request;
  const misnamed = hostNameProblem(host);
  const [first, ...others] = [
    // Longer than any token of ours: it cannot be right, and need not be hashed to see it.
    ...problemIf(tokenId.length > 64, 'token_id', 'too long for a token'),
    ...problemIf(tokenSecret.length > 128, 'token_secret', 'too long for a token'),
    ...lengthProblem('identity_key', request.identityKey, 32),
    ...lengthProblem('tunnel_key', request.tunnelKey, 32),
    ...lengthProblem('proof', request.proof, 64),
    ...(host === '' || misnamed === undefined ? [] : [problem('host', misnamed)]),
    ...problemIf(services.length > LIMITS.runnable, 'services', `expected at most ${LIMITS.runnable} services`),
    ...services.slice(0, LIMITS.runnable).flatMap((service, index) => {
      return problemIf(!isServiceName(service), `services[${index}]`, 'expected the name of a service');
    }),
  ];
  try {
    const roles = rolesFromWire(request.roles, 'roles');
    if (first === undefined) return roles;
  } catch (error) {
    if (first === undefined || !(error instanceof WireError)) throw error;
    others.push(...error.fields);
  }
  throw new EnrollError('invalid', first.message, first.field, undefined, others);
}

function lengthProblem(field: string, { length }: Uint8Array, expected: number): FieldProblem[] {
  return problemIf(length !== expected, field, `expected ${expected} bytes, got ${length}`);
}

/** Proves that the caller holds the identity key, and binds the tunnel key and this token to it. */
function checkProof(request: JoinRequest): void {
  const signed = joinProofMessage(request.tokenId, request.identityKey, request.tunnelKey);
  if (isSignedBy(request.identityKey, signed, request.proof)) return;
  throw new EnrollError('proof-wrong', 'the proof is not a signature by the identity key over this join', 'proof');
}

/** Services that a refusal names. */
const NAMED = 8;

function checkScope(
  token: TokenState,
  request: JoinRequest,
  roles: readonly AgentRole[],
  network: NetworkState,
  same: AgentState | undefined,
): void {
  const isNew = same === undefined || !tokensOf(same).includes(token.id);
  const granted = [...(isNew ? token.services : []), ...(same?.granted ?? [])];
  const allowed = new Set(rightsIn(network.mesh)(token.host || request.host || (same?.host ?? ''), granted));
  // What `*` or a kind will stand for once it is declared is no mistake.
  const isWide = granted.some((entry) => entry === '*' || entry.includes(':'));
  const outside = request.services.filter(
    (service) => !allowed.has(service) && !(isWide && !network.services.has(service)),
  );
  if (outside.length > 0) {
    const words = token.services.length > 0 ? listed(token.services, NAMED) : 'none';
    throw new EnrollError(
      'out-of-scope',
      `the token allows no service ${listed(outside, NAMED)} (it allows: ${words}), and the mesh does not say under agents that the ` +
        `host may run it; make one with --services ${outside.slice(0, NAMED).join(',')}`,
      'services',
    );
  }
  for (const role of roles) {
    if (!token.roles.includes(role) && same?.roles.includes(role) !== true)
      throw new EnrollError('out-of-scope', AGENT_ROLES[role].refusal, 'roles');
  }
  if (token.host !== '' && same !== undefined && same.host !== token.host) {
    throw new EnrollError(
      'out-of-scope',
      `the token is for host ${token.host}, and this one is ${same.host}; make one with --host ${same.host}`,
      'token_id',
    );
  }
  if (token.host !== '' && request.host !== '' && request.host !== token.host) {
    throw new EnrollError(
      'out-of-scope',
      `the token is for host ${token.host}, not ${request.host}; leave the name away, or make a token with --host ${request.host}`,
      'host',
    );
  }
}

/** The token's name wins, then the one asked for, then the one the agent had. */
function settleHost(token: TokenState, asked: string, same: AgentState | undefined): string {
  const host = token.host || asked || same?.host;
  if (host !== undefined && host !== '') return host;
  throw new EnrollError(
    'invalid',
    'the token names no host and none was asked for; make a token with --host NAME',
    'host',
  );
}

function agentWithKey(network: NetworkState, identityKey: Uint8Array): AgentState | undefined {
  for (const agent of network.agents.values()) if (equal(agent.identityKey, identityKey)) return agent;
  return undefined;
}

function answer(agent: AgentState): JoinAnswer {
  return { agentId: agent.id, network: agent.network, host: agent.host, ephemeral: agent.ephemeral };
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
