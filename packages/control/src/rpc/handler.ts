/** From grpc-js's callbacks to functions that return or throw, each with a signal that ends with its call. */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerUnaryCall,
  ServerWritableStream,
  StatusObject,
} from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { errorStatus, type pb } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { StoreError } from '../store/errors.ts';
import { internalStatus, toStatus } from './status.ts';

export interface Call<Request> {
  readonly request: Request;
  /** What came with it, and the object by which the call is known: see CallActors. */
  readonly metadata: Metadata;
  /** The :authority that the caller reached this server by. */
  readonly authority: string;
  /** Aborts when the caller cancels, goes away, or runs into its deadline. */
  readonly signal: AbortSignal;
}

type Answer<Response> = pb.Outgoing<Response> | Promise<pb.Outgoing<Response>>;

export type UnaryAdapter = <Request, Response>(
  serve: (call: Call<Request>) => Answer<Response>,
) => handleUnaryCall<Request, pb.Outgoing<Response>>;

export function unary(logger: Logger): UnaryAdapter {
  return <Request, Response>(
    serve: (call: Call<Request>) => Answer<Response>,
  ): handleUnaryCall<Request, pb.Outgoing<Response>> => {
    return (call, callback) => {
      const { signal, release } = signalOf(call);
      // What `serve` does before it waits for anything is done in this turn, before another call is looked at.
      const run = async (): Promise<pb.Outgoing<Response>> =>
        await serve({ request: call.request, metadata: call.metadata, authority: call.getHost(), signal });
      run()
        .then(
          (response) => callback(null, response),
          (error: unknown) => callback(statusFor(error, signal, call.getPath(), logger)),
        )
        .finally(release);
    };
  };
}

/** A message is written when the promise resolves; awaiting it is what keeps a slow reader from filling memory. */
export type Write<Response> = (message: pb.Outgoing<Response>) => Promise<void>;

export function serverStream<Request, Response>(
  logger: Logger,
  serve: (call: Call<Request> & { readonly write: Write<Response> }) => Promise<void>,
): handleServerStreamingCall<Request, pb.Outgoing<Response>> {
  return (call) => {
    const { signal, release } = signalOf(call);
    const write: Write<Response> = (message) =>
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
    const run = async (): Promise<void> =>
      serve({ request: call.request, metadata: call.metadata, authority: call.getHost(), signal, write });
    run()
      .then(
        () => void call.end(),
        // grpc-js sends the status from its 'error' listener; a destroyed call would end without one, and its caller wait.
        (error: unknown) => void call.emit('error', asError(statusFor(error, signal, call.getPath(), logger))),
      )
      .finally(release);
  };
}

/** The status for the caller; what only control can mend goes to the log instead. */
function statusFor(error: unknown, signal: AbortSignal, method: string, logger: Logger): StatusObject {
  const known = toStatus(error);
  if (known !== undefined) {
    if (error instanceof StoreError) logger.error({ event: 'call-failed', method, err: error }, error.message);
    return known;
  }
  if (signal.aborted) return errorStatus(status.CANCELLED, 'the call was cancelled', { reason: 'cancelled' });
  logger.error({ event: 'call-failed', method, err: error }, 'call failed');
  return internalStatus();
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
