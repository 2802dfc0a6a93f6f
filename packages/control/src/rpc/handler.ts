/** From grpc-js's callbacks to functions that return or throw, each with a signal that ends with its call. */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  StatusObject,
} from '@grpc/grpc-js';
import { type AdminHandlers, adminService } from '@weft/proto/wire';
import type { Logger } from 'pino';
import type { CallActors } from './admin-auth.ts';
import { AnswerPlaces } from './answer-places.ts';
import { type AdminCalls, type AnyCall, unwritten, type Write } from './calls.ts';
import { decoded, decodedLater } from './library-refusals.ts';
import { statusFor } from './status.ts';

/** For adminHandlers, which answer for requests that cannot be decoded. */
export const decodingAdminService = Object.fromEntries(
  Object.entries(adminService).map(([name, method]) => [name, decodedLater(method)]),
) as unknown as typeof adminService;

/** For grpc-js, of decodingAdminService. A call that adminAuth did not admit is not served, and `actors` throws. */
export function adminHandlers(calls: AdminCalls, actors: CallActors, logger: Logger): AdminHandlers {
  const places = new AnswerPlaces();
  const handlers = Object.entries(adminService).map(([name, { responseStream }]) => {
    const serve = calls[name as keyof AdminCalls] as AnyCall;
    const served = async (call: Arrived, signal: AbortSignal, write: Write<unknown>): Promise<unknown> => {
      const { metadata } = call;
      const request = decoded(call.request);
      return await serve({ request, actor: actors.of(metadata), authority: call.getHost(), signal, write });
    };
    const inPlace: typeof served = (call, signal, write) =>
      places.within(actors.of(call.metadata).role, call, signal, () => served(call, signal, write));
    return [name, responseStream ? serverStream(logger, served) : unary(logger, inPlace)];
  });
  return Object.fromEntries(handlers) as AdminHandlers;
}

type Arrived = Pick<ServerUnaryCall<unknown, unknown>, 'request' | 'metadata' | 'getHost'>;

export function unary<Request, Response>(
  logger: Logger,
  serve: (call: ServerUnaryCall<Request, Response>, signal: AbortSignal, write: Write<unknown>) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const { signal, release } = signalOf(call);
    // What `serve` does before it waits for anything is done in this turn, before another call is looked at.
    serve(call, signal, unwritten)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(statusFor(error, signal, call.getPath(), logger)),
      )
      .finally(release);
  };
}

function serverStream<Request>(
  logger: Logger,
  serve: (call: ServerWritableStream<Request, unknown>, signal: AbortSignal, write: Write<unknown>) => Promise<unknown>,
): handleServerStreamingCall<Request, unknown> {
  return (call) => {
    const { signal, release } = signalOf(call);
    const write: Write<unknown> = (message) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        else if (call.write(message)) resolve();
        else {
          const settle = (): void => {
            call.off('drain', settle);
            signal.removeEventListener('abort', settle);
            if (signal.aborted) reject(signal.reason);
            else resolve();
          };
          call.once('drain', settle);
          signal.addEventListener('abort', settle, { once: true });
        }
      });
    serve(call, signal, write)
      .then(
        () => void call.end(),
        // grpc-js sends the status from its 'error' listener; a destroyed call would end without one, and its caller wait.
        (error: unknown) => void call.emit('error', asError(statusFor(error, signal, call.getPath(), logger))),
      )
      .finally(release);
  };
}

function asError(answer: StatusObject): Error & StatusObject {
  return Object.assign(new Error(answer.details), answer);
}

function signalOf(
  call: Pick<ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>, 'on' | 'off'>,
): {
  readonly signal: AbortSignal;
  readonly release: () => void;
} {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new Error('the call was cancelled'));
  call.on('cancelled', abort);
  return { signal: controller.signal, release: () => void call.off('cancelled', abort) };
}
