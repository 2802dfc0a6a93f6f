/** Calls as promises and streams, bound to an AbortSignal. */
import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { DuplexMethod, ServerStreamMethod, UnaryMethod } from './grpc.ts';
import type * as pb from './pb.ts';

export interface CallSettings {
  /** Ends the call as CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the call as DEADLINE_EXCEEDED after this many milliseconds. */
  readonly deadlineMs?: number | undefined;
  readonly metadata?: Metadata | undefined;
}

/** Whether grpc-js made the error from a status: its `code`, `details` and `metadata` are then what control said. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'metadata' in error && error.metadata instanceof Metadata;
}

/** Asks once. Rejects with a grpc-js ServiceError, or with the signal's reason when it was aborted. */
export function callUnary<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: pb.Outgoing<Request>,
  settings: CallSettings = {},
): Promise<Response> {
  const { signal } = settings;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const cancel = (): void => call.cancel();
    const call = client.makeUnaryRequest<pb.Outgoing<Request>, Response>(
      method.path,
      (message) => method.requestSerialize(message),
      (bytes) => method.responseDeserialize(bytes),
      request,
      settings.metadata ?? new Metadata(),
      callOptions(settings),
      (error, response) => {
        signal?.removeEventListener('abort', cancel);
        if (response !== undefined && error === null) resolve(response);
        else reject(signal?.aborted === true ? signal.reason : error);
      },
    );
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

/** Opens a stream from the server. The caller listens to its `error`. */
export function callServerStream<Request, Response>(
  client: Client,
  method: ServerStreamMethod<Request, Response>,
  request: pb.Outgoing<Request>,
  settings: CallSettings = {},
): ClientReadableStream<Response> {
  const call = client.makeServerStreamRequest<pb.Outgoing<Request>, Response>(
    method.path,
    (message) => method.requestSerialize(message),
    (bytes) => method.responseDeserialize(bytes),
    request,
    settings.metadata ?? new Metadata(),
    callOptions(settings),
  );
  cancelOnAbort(call, settings.signal);
  return call;
}

/** Opens a stream both ways. The caller listens to its `error`. */
export function callDuplex<Request, Response>(
  client: Client,
  method: DuplexMethod<Request, Response>,
  settings: CallSettings = {},
): ClientDuplexStream<pb.Outgoing<Request>, Response> {
  const call = client.makeBidiStreamRequest<pb.Outgoing<Request>, Response>(
    method.path,
    (message) => method.requestSerialize(message),
    (bytes) => method.responseDeserialize(bytes),
    settings.metadata ?? new Metadata(),
    callOptions(settings),
  );
  cancelOnAbort(call, settings.signal);
  return call;
}

/** Metadata that every admin call carries. */
export function bearerMetadata(adminToken: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${adminToken}`);
  return metadata;
}

function callOptions({ deadlineMs }: CallSettings): CallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function cancelOnAbort(call: ClientReadableStream<unknown>, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const cancel = (): void => call.cancel();
  // `status` comes exactly once, however the call ends; without it a long-lived signal would hold every call it saw.
  call.once('status', () => signal.removeEventListener('abort', cancel));
  if (signal.aborted) queueMicrotask(cancel);
  else signal.addEventListener('abort', cancel, { once: true });
}
