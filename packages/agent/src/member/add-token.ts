/** A token for a directory that is a member already: what it permits comes to what the member has. */
import { ADDS_TOKENS, type JoinToken, messageOf } from '@weft/proto';
import { ControlUnreachableError, errorDetails, silent, tellAll, toldAt } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { AgentError } from './errors.ts';
import type { Identity, Membership } from './identity.ts';
import { join } from './join.ts';
import { lookAtControl } from './look-at-control.ts';

/** The start waits no longer: whatever control does, an agent serves what it knows. */
const ASK_MS = 3_000;

export interface Addition {
  readonly token: JoinToken;
  readonly keys: Identity['keys'];
  readonly membership: Membership;
  /** Where control may be. */
  readonly addresses: readonly string[];
  readonly version: string;
  readonly logger: Logger;
}

/**
 * Control is asked at each start that has a token; one that it knows of already changes nothing there. What it refuses is told in
 * the log, and the start goes on. Throws AgentError `token-wrong` for a token of another network.
 */
export async function addToken(addition: Addition, signal: AbortSignal): Promise<void> {
  const { token, keys, membership, version, logger } = addition;
  const { network, host } = membership;
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
    const address = await whereControlAdds(addition, within);
    // What the agent file has is no matter of this: it may have more than the token permits.
    const asked = { fallbackHost: host, services: [], roles: [], version };
    await join({ ...asked, token: { ...token, addresses: [address] }, keys }, within);
    logger.info(
      { event: 'token-added', network, host, token: token.id },
      'this host may do what the join token permits',
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AgentError && errorDetails(error.cause).reason === 'OTHER_NETWORK')
      throw new AgentError('token-wrong', error.message, { cause: error });
    logger.info(
      { event: 'token-not-used', network, host, token: token.id, why: messageOf(error) },
      'this directory is already a member; of the join token only where control is was taken',
    );
  }
}

/** The first to answer. One of an older version would put what the token permits in place of what the member has. */
async function whereControlAdds({ addresses, membership }: Addition, signal: AbortSignal): Promise<string> {
  const enough = new AbortController();
  try {
    return await Promise.any(
      addresses.map(async (address) => {
        const seen = await lookAtControl(address, membership.pin, Date.now, AbortSignal.any([signal, enough.signal]));
        if (seen.capability >= ADDS_TOKENS) return address;
        throw new Error(
          `control at ${address} is of an older version, which adds nothing to a member; upgrade it first`,
        );
      }),
    );
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    // In the order of the addresses.
    const told = addresses.map((address, at) => {
      const cause: unknown = error.errors[at];
      const late = cause === signal.reason;
      return toldAt(address, late ? new ControlUnreachableError(address, silent('dials', ASK_MS)) : cause);
    });
    throw new Error(tellAll(told), { cause: error });
  } finally {
    enough.abort();
  }
}
