/**
 * What grpc-js refuses by itself, told as all else is that is refused: it gives a status alone, of which no program can tell why
 * (docs/decisions/0027-errors.md). Where a later grpc-js refuses elsewhere, its callers get the status alone.
 */
import {
  type Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { errorStatus, statusDetails, WireError } from '@weft/proto/wire';
import { ADMIN_PREFIX } from './roles.ts';
import { noSuchMethod } from './status.ts';

/** Of the admin service's calls. To stand before every other interceptor: grpc-js's own call is below the first alone. */
export const toldRefusals: ServerInterceptor = ({ path }, call) => {
  if (path.startsWith(ADMIN_PREFIX)) {
    const send = call.sendStatus.bind(call);
    call.sendStatus = (answer) => send(told(answer));
  }
  return new ServerInterceptingCall(call);
};

type Answer = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

function told(answer: Answer): Answer {
  const { code = status.UNKNOWN, details = '' } = answer;
  if (code === status.OK || statusDetails(answer).length > 0) return answer;
  if (code === status.INTERNAL && details.includes('grpc-timeout'))
    return errorStatus(status.INVALID_ARGUMENT, details, { reason: 'timeout' });
  return errorStatus(code, details, { reason: REASONS[code] ?? 'internal' });
}

const REASONS: Readonly<Partial<Record<status, string>>> = {
  [status.DEADLINE_EXCEEDED]: 'deadline',
  [status.RESOURCE_EXHAUSTED]: 'message-too-large',
  [status.UNIMPLEMENTED]: 'not-one-message',
};

type Respond = (answer: Partial<StatusObject>, ...rest: readonly unknown[]) => void;

/** A call of a method that is not there comes to no interceptor. */
export function tellMissingMethods(server: Server): void {
  const inner = server as unknown as { _respondWithError?: Respond };
  const respond = inner._respondWithError?.bind(server);
  if (respond === undefined) return;
  inner._respondWithError = (answer, ...rest) =>
    respond(answer.code === status.UNIMPLEMENTED ? noSuchMethod() : answer, ...rest);
}

/** A request that cannot be decoded, which grpc-js would call control's fault: it comes to the handler in the request's place, and is thrown there. */
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
