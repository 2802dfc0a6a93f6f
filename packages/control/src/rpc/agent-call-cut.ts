/**
 * Ends a gRPC call whose peer does not read, or does not end its half. grpc-js has no way to say so: a status waits behind
 * what was written, which waits for the peer. So this reaches for the HTTP/2 stream below; where a later grpc-js keeps it
 * elsewhere, the call ends with its connection, and what it holds until then is one delta and one message.
 */
import { constants } from 'node:http2';

interface Layer {
  /** The call below the one a handler sees. */
  readonly call?: Layer;
  /** The call below an interceptor's. */
  readonly nextCall?: Layer;
  readonly stream?: { readonly close?: (code: number) => void };
}

/** False when there was no stream to be found. */
export function cutCall(call: object): boolean {
  let layer: Layer | undefined = call as Layer;
  for (let depth = 0; layer !== undefined && depth < 16; depth += 1) {
    if (typeof layer.stream?.close === 'function') {
      layer.stream.close(constants.NGHTTP2_CANCEL);
      return true;
    }
    layer = layer.call ?? layer.nextCall;
  }
  return false;
}
