/** Tells of each call when it is over. To stand before every other interceptor, so that what they refuse is told as well. */
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

export interface CallObserver {
  /** `stream` for calls whose duration says nothing: they last for as long as somebody listens. */
  ended(call: {
    readonly path: string;
    readonly code: status;
    readonly seconds: number;
    readonly stream: boolean;
  }): void;
}

export function callObserver(observer: CallObserver): ServerInterceptor {
  return ({ path, responseStream }, call) => {
    const startedMs = performance.now();
    let over = false;
    const end = (code: status): void => {
      if (over) return;
      over = true;
      observer.ended({ path, code, seconds: (performance.now() - startedMs) / 1_000, stream: responseStream });
    };
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onCancel: () => end(status.CANCELLED) }),
      sendStatus: (answer, proceed) => {
        end(answer.code ?? status.UNKNOWN);
        proceed(answer);
      },
    });
  };
}
