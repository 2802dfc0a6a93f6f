/**
 * Ends calls of callers who have proved nothing and do not come to an end with what they ask. A message that is half here
 * is memory that control holds for a stranger; so it is held for a while and not for as long as the connection lives.
 */
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { Admission, type AdmissionLimits } from '@weft/proto/bounds';
import { agentService } from '@weft/proto/wire';
import { observedHost } from '../bounds/observed.ts';
import { refuseCall } from './call-stream.ts';
import { ADMIN_PREFIX } from './roles.ts';

/** Calls of which not all has come: as many as there may be streams without a Hello. Hosts that join together send all at once. */
const ASKING: AdmissionLimits = { most: 4_096, mostOfOne: 1_024 };

/** `requestMs` is for all that a caller sends. Admin calls have proved who they are, and Connect has a timer and bounds of its own. */
export function requestTimer(requestMs: number, limits = ASKING): ServerInterceptor {
  const admission = new Admission(limits);
  return (method, call) => {
    if (method.path.startsWith(ADMIN_PREFIX) || method.path === agentService.connect.path) {
      return new ServerInterceptingCall(call);
    }
    return new ServerInterceptingCall(call, {
      start: (next) => {
        const timer = setTimeout(
          () =>
            refuseCall(
              call,
              status.DEADLINE_EXCEEDED,
              'request-too-slow',
              `the request took longer than ${requestMs} ms`,
            ),
          requestMs,
        );
        const tooMany = (): void => {
          clearTimeout(timer);
          refuseCall(call, status.RESOURCE_EXHAUSTED, 'half-sent', 'too many requests are half sent; try again later');
        };
        const seat = admission.enter(observedHost(call.getPeer()) || 'unknown', tooMany);
        if (seat === undefined) tooMany();
        const over = (): void => {
          clearTimeout(timer);
          seat?.leave();
        };
        next({
          onReceiveHalfClose: (proceed) => {
            over();
            proceed();
          },
          onCancel: over,
        });
      },
    });
  };
}
