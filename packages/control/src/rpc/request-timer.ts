/**
 * Ends calls of callers who have proved nothing and do not come to an end with what they ask. A message that is half here
 * is memory that control holds for a stranger; so it is held for a while and not for as long as the connection lives.
 */
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { agentService } from '@weft/proto/wire';
import { ADMIN_PREFIX } from './admin-auth.ts';
import { cutCall } from './call-stream.ts';

/** `requestMs` is for all that a caller sends. Admin calls have proved who they are, and Connect has a timer of its own. */
export function requestTimer(requestMs: number): ServerInterceptor {
  return (method, call) => {
    if (method.path.startsWith(ADMIN_PREFIX) || method.path === agentService.connect.path) {
      return new ServerInterceptingCall(call);
    }
    return new ServerInterceptingCall(call, {
      start: (next) => {
        const timer = setTimeout(() => {
          call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: `the request took longer than ${requestMs} ms` });
          // The status is on its way; the half of the call that the caller keeps open must go too.
          setImmediate(() => cutCall(call));
        }, requestMs);
        next({
          onReceiveHalfClose: (proceed) => {
            clearTimeout(timer);
            proceed();
          },
          onCancel: () => clearTimeout(timer),
        });
      },
    });
  };
}
