/** Stands before every method of the admin service: no bearer, no call. */
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { FailureCounter } from '../failures.ts';

export const ADMIN_PREFIX = '/weft.v1.AdminService/';

export interface AdminAuthOptions {
  /** Compares in constant time. */
  readonly check: (token: string) => boolean;
  readonly failures: FailureCounter;
  readonly logger: Logger;
}

/** Refuses on the headers, so that nothing of an unproven caller's message is read. */
export function adminAuth({ check, failures, logger }: AdminAuthOptions): ServerInterceptor {
  return (method, call) => {
    if (!method.path.startsWith(ADMIN_PREFIX)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const token = bearer(metadata);
            if (token !== undefined && check(token)) {
              proceed(metadata);
              return;
            }
            const { remoteAddress } = call.getConnectionInfo();
            // The right token is let through however often its address failed before: who shares the address, such as
            // another user of this host, must not be able to lock the operator out. 256 bits cannot be guessed anyway;
            // the limit keeps the log readable and the answer cheap.
            if (failures.note(remoteAddress ?? 'unknown')) {
              call.sendStatus({
                code: status.RESOURCE_EXHAUSTED,
                details: 'too many calls with a wrong admin token from this address; wait a minute and check the token',
              });
              return;
            }
            logger.warn({ event: 'admin-refused', peer: call.getPeer(), method: method.path }, 'admin call refused');
            call.sendStatus({ code: status.UNAUTHENTICATED, details: refusal(token) });
          },
        });
      },
    });
  };
}

function refusal(token: string | undefined): string {
  if (token === undefined) {
    return 'this call needs an admin token: metadata "authorization: Bearer TOKEN", with the text of admin.token in control\'s data directory';
  }
  return "the admin token is not this control's; use the text of admin.token in its data directory";
}

function bearer(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string') return undefined;
  return /^bearer ([\x21-\x7e]{1,512})$/i.exec(value.trim())?.[1];
}
