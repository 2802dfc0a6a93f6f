/** Stands before every method of the admin service: no bearer, no call; and a bearer who may only see, no change. */
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { errorStatus } from '@weft/proto/wire';
import type { Logger } from 'pino';
import type { RefusalAudit } from '../audit/refusals.ts';
import type { Actor } from '../audit/types.ts';
import type { FailureCounter } from '../bounds/failures.ts';
import { observedHost, observedPeer } from '../bounds/observed.ts';
import type { Credentials } from '../enroll/credentials.ts';
import type { ProvedCalls } from './call-stream.ts';
import { ADMIN_PATHS, ADMIN_PREFIX, READ_PATHS } from './roles.ts';

export interface AdminGateOptions {
  readonly credentials: Pick<Credentials, 'roleOf'>;
  readonly failures: FailureCounter;
  readonly refusals: Pick<RefusalAudit, 'note'>;
  readonly logger: Logger;
}

/** Who asks, and for what. */
export interface Asking {
  readonly path: string;
  /** HOST:PORT, as the socket or grpc-js tells it. */
  readonly peer: string;
  /** Of the `authorization` that came; undefined when there is none that could be a bearer's. */
  readonly token: string | undefined;
  /** Proved in another way, such as by a session of the page. */
  readonly role?: Actor['role'] | undefined;
}

export type Admitted = { readonly actor: Actor } | { readonly refusal: StatusObject };
export type AdminGate = (asking: Asking) => Admitted;

export function adminGate({ credentials, failures, refusals, logger }: AdminGateOptions): AdminGate {
  return ({ path, peer, token, role: proved }) => {
    const role = token === undefined ? proved : credentials.roleOf(token);
    const address = observedHost(peer) || 'unknown';
    if (role === 'admin' || (role === 'read' && READ_PATHS.has(path))) return { actor: { role, address } };
    // The right token is let through however often its address failed before: who shares the address, such as
    // another user of this host, must not be able to lock the operator out. 256 bits cannot be guessed anyway;
    // the limit keeps the log readable and the answer cheap.
    const tooMany = failures.note(address);
    if (ADMIN_PATHS.has(path)) refusals.note({ role: role ?? 'nobody', address }, path.slice(ADMIN_PREFIX.length));
    if (!tooMany)
      logger.warn({ event: 'admin-refused', peer: observedPeer(peer), method: path, role }, 'admin call refused');
    if (role === 'read') return { refusal: notAdmin() };
    return { refusal: tooMany ? tooManyTries() : unauthenticated(token) };
  };
}

/** Undefined for what is no bearer's. */
export function bearerOf(authorization: string): string | undefined {
  return /^bearer ([\x21-\x7e]{1,512})$/i.exec(authorization.trim())?.[1];
}

export interface AdminAuthOptions {
  readonly gate: AdminGate;
  /** Told who makes each call that is let through. */
  readonly actors: CallActors;
  readonly proved: ProvedCalls;
}

/** Refuses on the headers, so that nothing of an unproven caller's message is read. */
export function adminAuth({ gate, actors, proved }: AdminAuthOptions): ServerInterceptor {
  return (method, call) => {
    const { path } = method;
    if (!path.startsWith(ADMIN_PREFIX)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const admitted = gate({ path, peer: call.getPeer(), token: bearer(metadata) });
            if ('refusal' in admitted) {
              call.sendStatus(admitted.refusal);
              return;
            }
            actors.admit(metadata, admitted.actor);
            proved.prove(call);
            proceed(metadata);
          },
        });
      },
    });
  };
}

function bearer(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string') return undefined;
  return bearerOf(value);
}

function notAdmin(): StatusObject {
  const details =
    "this call needs the admin token, and the token given is the read token, which only sees; use the text of admin.token in control's data directory";
  return errorStatus(status.PERMISSION_DENIED, details, { reason: 'not-admin' });
}

function tooManyTries(): StatusObject {
  const details = 'too many calls with a wrong admin token from this address; wait a minute and check the token';
  return errorStatus(status.RESOURCE_EXHAUSTED, details, { reason: 'too-many-tries', retryMs: 60_000 });
}

function unauthenticated(token: string | undefined): StatusObject {
  return errorStatus(status.UNAUTHENTICATED, refusal(token), {
    reason: token === undefined ? 'no-token' : 'wrong-token',
  });
}

function refusal(token: string | undefined): string {
  if (token === undefined) {
    return 'this call needs an admin token: metadata "authorization: Bearer TOKEN", with the text of admin.token in control\'s data directory';
  }
  return "the admin token is not this control's; use the text of admin.token in its data directory";
}

/**
 * Who makes a call, from the check at its head to the handler at its end. They share the call's metadata as an object, and
 * what is known of it is kept beside it: nothing that a caller writes into its metadata can pass for this.
 */
export class CallActors {
  readonly #actors = new WeakMap<Metadata, Actor>();

  admit(metadata: Metadata, actor: Actor): void {
    this.#actors.set(metadata, actor);
  }

  /** Throws for a call that was not admitted: better not served than served for nobody. */
  of(metadata: Metadata): Actor {
    const actor = this.#actors.get(metadata);
    if (actor === undefined) throw new Error('a call reached its handler without having been admitted');
    return actor;
  }
}
