/** Becoming a member: the one call that a join token is good for. */
import { randomBytes } from 'node:crypto';
import { type ServiceError, status } from '@grpc/grpc-js';
import { type AgentRole, CAPABILITY, type JoinToken, leadsToLoopback } from '@weft/proto';
import {
  AgentClient,
  agentService,
  callUnary,
  isServiceError,
  joinProofMessage,
  PinMismatchError,
  pinnedCredentials,
  rolesToWire,
  type Told,
  tellAll,
  toldAt,
} from '@weft/proto/wire';
import { channelOptions } from './channel.ts';
import { AgentError } from './errors.ts';
import type { AgentKeys, Membership } from './identity.ts';
import { signedBy } from './keys.ts';

const JOIN_DEADLINE_MS = 10_000;
/** What leaves room for a suffix in the 63 letters of a host name. */
const MAX_STEM = 54;

export interface JoinAttempt {
  readonly token: JoinToken;
  readonly keys: AgentKeys;
  /** Name to go by when the token gives none; with a number behind it where another agent has it. */
  readonly fallbackHost: string;
  /** Services of the agent file. */
  readonly services: readonly string[];
  /** What the agent file asks for. */
  readonly roles: readonly AgentRole[];
  readonly version: string;
}

/**
 * Joins by the first of the token's addresses that answers. Repeating it with the same keys is harmless, so an answer
 * that was lost costs nothing. Throws AgentError `join-refused`, `token-wrong` or `control-unreachable`.
 */
export async function join(attempt: JoinAttempt, signal: AbortSignal): Promise<Membership> {
  const { token } = attempt;
  const failures: { readonly address: string; readonly error: unknown }[] = [];
  for (const address of token.addresses) {
    signal.throwIfAborted();
    try {
      const { agentId, network, host, ephemeral } = await joinNamed(address, attempt, signal);
      const { addresses: controlAddresses, pin } = token;
      return { agentId, network, host, controlAddresses, pin, ephemeral, revoked: false };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AgentError) throw error;
      if (isServiceError(error) && !UNREACHED.has(error.code)) throw refused(address, error);
      failures.push({ address, error });
    }
  }
  const told = failures.map(({ address, error }) => notAnswered(address, error));
  const wrong = failures.every(({ error }) => error instanceof PinMismatchError);
  const further = !wrong && token.addresses.every(leadsToLoopback) ? [LOOPBACK_ALONE] : [];
  throw new AgentError(wrong ? 'token-wrong' : 'control-unreachable', `cannot join: ${tellAll(told, further)}`, {
    cause: failures[0]?.error,
  });
}

const LOOPBACK_ALONE =
  "on another host than control's say where control is with --control HOST:PORT, or have weft-control started with " +
  '--advertise HOST:PORT, and a token made then: this one leads to loopback alone';

function notAnswered(address: string, error: unknown): Told {
  if (!isServiceError(error)) return toldAt(address, error);
  return {
    what: `control at ${address} did not answer: ${error.details}`,
    advice: ['check that weft-control runs there'],
  };
}

/** The name that the token gives is taken first; only where it gives none is the host's own asked for. */
async function joinNamed(address: string, attempt: JoinAttempt, signal: AbortSignal) {
  try {
    return await joinAt(address, attempt, '', signal);
  } catch (error) {
    const nameMissing =
      isServiceError(error) && error.code === status.INVALID_ARGUMENT && /^host\b/.test(error.details);
    if (!nameMissing) throw error;
  }
  const names = namesToTry(attempt.fallbackHost);
  for (const [index, name] of names.entries()) {
    try {
      return await joinAt(address, attempt, name, signal);
    } catch (error) {
      const taken = isServiceError(error) && error.code === status.ALREADY_EXISTS;
      if (isServiceError(error) && !UNREACHED.has(error.code) && !taken && index > 0)
        throw refused(address, error, ` as ${name}, for another host is ${attempt.fallbackHost}`);
      if (!taken || index === names.length - 1) throw error;
    }
  }
  throw new Error('there is always a name to try');
}

/**
 * Several agents may share a host, and hosts in containers a name: build-3, build-3-2 to build-3-9, and, where so many are
 * alike, one by chance. A deny rule loses nothing by it: an agent whose token names no host could have asked for any name. One that was
 * revoked is not passed over: it may be this very machine, which lost its keys.
 */
function namesToTry(host: string): readonly string[] {
  const stem = host.slice(0, MAX_STEM);
  const numbered = Array.from({ length: 8 }, (_, index) => `${stem}-${index + 2}`);
  return [host, ...numbered, `${stem}-${randomBytes(4).toString('hex')}`];
}

async function joinAt(address: string, attempt: JoinAttempt, host: string, signal: AbortSignal) {
  const { token, keys, services, roles, version } = attempt;
  const client = new AgentClient(address, await pinnedCredentials(address, token.pin, signal), channelOptions);
  try {
    const identityKey = keys.identity.publicKey;
    const tunnelKey = keys.tunnel.publicKey;
    const proof = signedBy(keys, joinProofMessage(token.id, identityKey, tunnelKey));
    const request = {
      tokenId: token.id,
      tokenSecret: token.secret,
      identityKey,
      tunnelKey,
      proof,
      host,
      services,
      roles: rolesToWire(roles),
      version,
      capability: CAPABILITY,
    };
    return await callUnary(client, agentService.join, request, { signal, deadlineMs: JOIN_DEADLINE_MS });
  } finally {
    client.close();
  }
}

/** Statuses that say nothing about the token: another address may do better. */
const UNREACHED: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);

/** Control's own words say what to do: it knows what the token is for. */
function refused(address: string, cause: ServiceError, how = ''): AgentError {
  return new AgentError('join-refused', `control at ${address} refused to let this host join${how}: ${cause.details}`, {
    cause,
  });
}
