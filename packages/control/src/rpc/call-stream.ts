/**
 * Reaches the HTTP/2 stream below a gRPC call, for what grpc-js has no way to say: that a call ends whose peer does not read,
 * or does not end its half (a status waits behind what was written, which waits for the peer), and what arrives before it is
 * gathered. Where a later grpc-js keeps the stream elsewhere there is none to be found: a call then ends with its connection,
 * and what it holds until then is bounded by grpc-js's own limit of a message.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { errorStatus } from '@weft/proto/wire';

interface Layer {
  /** The call below the one a handler sees. */
  readonly call?: Layer;
  /** The call below an interceptor's. */
  readonly nextCall?: Layer;
  readonly stream?: Partial<ServerHttp2Stream>;
}

/** The stream below a call, as its handler or an interceptor has it; undefined where there is none to be found. */
export function streamOf(call: object): ServerHttp2Stream | undefined {
  let layer: Layer | undefined = call as Layer;
  for (let depth = 0; layer !== undefined && depth < 16; depth += 1) {
    if (typeof layer.stream?.close === 'function') return layer.stream as ServerHttp2Stream;
    layer = layer.call ?? layer.nextCall;
  }
  return undefined;
}

/** False when there was no stream to be found. */
export function cutCall(call: object): boolean {
  const stream = streamOf(call);
  stream?.close(constants.NGHTTP2_CANCEL);
  return stream !== undefined;
}

/** Ends a call that is not served. `reason` is a stable word, such as `half-sent`. */
export function refuseCall(call: ServerInterceptingCallInterface, code: status, reason: string, details: string): void {
  call.sendStatus(errorStatus(code, details, { reason }));
  // The status is on its way; the half of the call that the caller keeps open must go too.
  setImmediate(() => cutCall(call));
}

/** Which calls come from somebody who has proved who it is: an admin by a token at the headers, an agent by its Hello. */
export class ProvedCalls {
  readonly #proved = new WeakSet<object>();
  readonly #listeners = new WeakMap<object, () => void>();

  /** `call` is the call as its handler or an interceptor has it. */
  prove(call: object): void {
    const stream = streamOf(call);
    if (stream === undefined || this.#proved.has(stream)) return;
    this.#proved.add(stream);
    this.#listeners.get(stream)?.();
  }

  has(stream: object): boolean {
    return this.#proved.has(stream);
  }

  /** Called once, when it is proved. One listener a stream. */
  onProved(stream: object, listener: () => void): void {
    this.#listeners.set(stream, listener);
  }
}
