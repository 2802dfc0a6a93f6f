/**
 * Requests that cannot be decoded. grpc-js would answer INTERNAL, as of a fault of control's, and with none of the details that all
 * else has that is wrong with a request; so what is wrong comes to the handler in the request's place, and is thrown there.
 */
import { WireError } from '@weft/proto/wire';

class Undecoded {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

interface Decoding {
  requestDeserialize(bytes: Buffer): unknown;
}

/** The method, for a handler that looks by `decoded`. */
export function decodedLater<Method extends Decoding>(method: Method): Method {
  const requestDeserialize = (bytes: Buffer): unknown => {
    try {
      return method.requestDeserialize(bytes);
    } catch (error) {
      return new Undecoded(error);
    }
  };
  return { ...method, requestDeserialize };
}

/** The request as it came. Throws WireError, or what else its decoder throws. */
export function decoded<Request>(request: Request): Request {
  if (!(request instanceof Undecoded)) return request;
  const { cause } = request;
  // Its field is the message's type there.
  if (cause instanceof WireError) throw new WireError('wire-decode', 'request', `not a weft.v1.${cause.field}`, cause);
  throw cause;
}
