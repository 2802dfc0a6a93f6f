/** Whether this directory already belongs to a network, and joining one when it does not. */
import { timingSafeEqual } from 'node:crypto';
import type { JoinToken } from '@weft/proto';
import type { Logger } from 'pino';
import { addToken } from './add-token.ts';
import { AgentError } from './errors.ts';
import { type AgentKeys, loadIdentity, type Membership, saveIdentity } from './identity.ts';
import { type JoinAttempt, join } from './join.ts';
import { makeKeys } from './keys.ts';

/** Kept of those that tokens named; a token names at most 8. */
const MOST_ADDRESSES = 16;

export interface Enrolment {
  readonly keys: AgentKeys;
  readonly membership: Membership;
}

export interface MembershipRequest extends Omit<JoinAttempt, 'token' | 'keys'> {
  readonly directory: string;
  readonly token: JoinToken | undefined;
  /** HOST:PORT where control is looked for before what the token or the kept membership say. */
  readonly control?: string | undefined;
  readonly logger: Logger;
}

/** The membership kept in the directory, else one joined with the token. Throws AgentError. */
export async function openMembership(request: MembershipRequest, signal: AbortSignal): Promise<Enrolment> {
  const { directory, token, control } = request;
  const identity = await loadIdentity(directory);
  const kept = identity?.membership;
  if (identity !== undefined && kept !== undefined && (!kept.revoked || token === undefined)) {
    const membership = token === undefined ? kept : { ...kept, controlAddresses: addressesOf(token, kept, directory) };
    const { keys } = identity;
    const addresses = first(control, membership.controlAddresses);
    if (token !== undefined) {
      if (membership.controlAddresses !== kept.controlAddresses) await saveIdentity(directory, { keys, membership });
      await addToken({ ...request, token, keys, membership, addresses }, signal);
    }
    return { keys, membership: { ...membership, controlAddresses: addresses } };
  }
  if (token === undefined) {
    throw new AgentError(
      'token-missing',
      `${directory} belongs to no network yet, and no join token was given. Have one made with weft token create, and ` +
        'give it by --join-file FILE, by WEFT_JOIN or by --join TOKEN',
    );
  }
  // A revoked agent asks with the keys it had, so that control knows whom it is asked to take back.
  const keys = identity?.keys ?? makeKeys();
  if (identity === undefined) await saveIdentity(directory, { keys, membership: undefined });
  return await rejoin({ ...request, token, keys }, signal);
}

/** Joins with keys that are kept already, and keeps the membership. Throws AgentError. */
export async function rejoin(
  request: MembershipRequest & { readonly token: JoinToken; readonly keys: AgentKeys },
  signal: AbortSignal,
): Promise<Enrolment> {
  const { directory, keys, token, control, logger } = request;
  const addresses = first(control, token.addresses);
  const membership = await join({ ...request, token: { ...token, addresses } }, signal);
  await saveIdentity(directory, { keys, membership });
  const { network, host, agentId } = membership;
  logger.info({ event: 'joined', network, host, agentId }, 'joined the network');
  return { keys, membership };
}

function first(control: string | undefined, addresses: readonly string[]): readonly string[] {
  return control === undefined ? addresses : [control, ...addresses.filter((address) => address !== control)];
}

/** Where a newer token says that the control of this membership is. Throws AgentError for one of another control. */
function addressesOf(token: JoinToken, kept: Membership, directory: string): readonly string[] {
  const sameControl = token.pin.length === kept.pin.length && timingSafeEqual(token.pin, kept.pin);
  const { controlAddresses } = kept;
  if (sameControl) {
    if (token.addresses.every((address) => controlAddresses.includes(address))) return controlAddresses;
    return [...new Set([...token.addresses, ...controlAddresses])].slice(0, MOST_ADDRESSES);
  }
  throw new AgentError(
    'token-wrong',
    `${directory} belongs to network ${kept.network} at ${kept.controlAddresses.join(', ')}, and the join token is for ` +
      'another control; choose another directory with --data, or start without the token',
  );
}

/** The membership that is kept in the directory: what changes of it while the agent runs is changed here alone. */
export class KeptMembership {
  readonly #directory: string;
  readonly #keys: AgentKeys;
  readonly #logger: Pick<Logger, 'error'>;
  #current: Membership;
  #last: Promise<void> = Promise.resolve();

  constructor(directory: string, { keys, membership }: Enrolment, logger: Pick<Logger, 'error'>) {
    this.#directory = directory;
    this.#keys = keys;
    this.#current = membership;
    this.#logger = logger;
  }

  get current(): Membership {
    return this.#current;
  }

  /**
   * `host`: the name that control gave this host; `revoked`: control has taken the membership back, so that the next start may
   * join anew. Resolves when it is written; what cannot be is logged, and goes with the next change.
   */
  keep(change: Partial<Pick<Membership, 'host' | 'revoked'>>): Promise<void> {
    this.#current = { ...this.#current, ...change };
    this.#last = this.#last
      .then(() => saveIdentity(this.#directory, { keys: this.#keys, membership: this.#current }))
      .catch((err: unknown) => {
        this.#logger.error({ event: 'identity-not-kept', err }, 'identity.json cannot be written');
      });
    return this.#last;
  }
}
