/**
 * The two gRPC services over the generated codecs, without reflection at run time; and calls of them as promises and streams,
 * bound to an AbortSignal.
 */
import { isIP } from 'node:net';
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { parseHostPort } from '../model/endpoint.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import type * as pb from './pb.ts';

const v1 = weft.v1;

/** One side's message, as generated code encodes and decodes it. */
interface MessageCodec {
  readonly name: string;
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** A method's definition for grpc-js. What is sent may leave fields out; what arrives is whole. */
export interface Method<Request, Response, RequestStream extends boolean, ResponseStream extends boolean> {
  readonly path: string;
  readonly requestStream: RequestStream;
  readonly responseStream: ResponseStream;
  requestSerialize(message: pb.Outgoing<Request>): Buffer;
  requestDeserialize(bytes: Buffer): Request;
  responseSerialize(message: pb.Outgoing<Response>): Buffer;
  responseDeserialize(bytes: Buffer): Response;
}

export type UnaryMethod<Request, Response> = Method<Request, Response, false, false>;
export type ServerStreamMethod<Request, Response> = Method<Request, Response, false, true>;
export type DuplexMethod<Request, Response> = Method<Request, Response, true, true>;

/** The handlers that `server.addService(service, handlers)` asks for. */
export type ServiceHandlers<Service> = {
  [Name in keyof Service]: Service[Name] extends UnaryMethod<infer Request, infer Response>
    ? handleUnaryCall<Request, pb.Outgoing<Response>>
    : Service[Name] extends ServerStreamMethod<infer Request, infer Response>
      ? handleServerStreamingCall<Request, pb.Outgoing<Response>>
      : Service[Name] extends DuplexMethod<infer Request, infer Response>
        ? handleBidiStreamingCall<Request, pb.Outgoing<Response>>
        : never;
};

function method<
  Request extends pb.MessageName,
  Response extends pb.MessageName,
  RequestStream extends boolean,
  ResponseStream extends boolean,
>(
  path: string,
  [request, response]: readonly [Request, Response],
  requestStream: RequestStream,
  responseStream: ResponseStream,
): Method<pb.Message<Request>, pb.Message<Response>, RequestStream, ResponseStream> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (message) => serialize(v1[request], message),
    requestDeserialize: (bytes) => deserialize(v1[request], bytes),
    responseSerialize: (message) => serialize(v1[response], message),
    responseDeserialize: (bytes) => deserialize(v1[response], bytes),
  };
}

function serialize(codec: MessageCodec, message: unknown): Buffer {
  const bytes = codec.encode(message as never).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** grpc-js answers the peer with INTERNAL when this throws, and ends that call alone. */
function deserialize<T>(codec: MessageCodec, bytes: Buffer): T {
  try {
    return codec.decode(bytes) as T;
  } catch (error) {
    throw new WireError('wire-decode', codec.name, 'not a message of this type', error);
  }
}

/** Whose messages are named after it. */
type AdminMethod = {
  [Name in pb.MessageName]: Name extends `${infer Method}Request`
    ? `${Method}Response` extends pb.MessageName
      ? Method
      : never
    : never;
}[pb.MessageName];

function admin<Name extends AdminMethod, Streams extends boolean = false>(name: Name, streams = false as Streams) {
  const messages = [`${name}Request`, `${name}Response`] as const;
  return method(`/weft.v1.AdminService/${name}`, messages, false as const, streams);
}

export const adminService = {
  apply: admin('Apply'),
  putService: admin('PutService'),
  deleteService: admin('DeleteService'),
  putPolicy: admin('PutPolicy'),
  deletePolicy: admin('DeletePolicy'),
  putAgent: admin('PutAgent'),
  grantServices: admin('GrantServices'),
  deleteNetwork: admin('DeleteNetwork'),
  getMesh: admin('GetMesh'),
  getStatus: admin('GetStatus'),
  listServices: admin('ListServices'),
  listAgents: admin('ListAgents'),
  watchNetwork: admin('WatchNetwork', true),
  renameAgent: admin('RenameAgent'),
  revokeAgent: admin('RevokeAgent'),
  createToken: admin('CreateToken'),
  listTokens: admin('ListTokens'),
  replaceToken: admin('ReplaceToken'),
  revokeToken: admin('RevokeToken'),
  explain: admin('Explain'),
  listFlows: admin('ListFlows'),
  watchFlows: admin('WatchFlows', true),
  listOpenFlows: admin('ListOpenFlows'),
  countFlows: admin('CountFlows'),
  listTraffic: admin('ListTraffic'),
  listReach: admin('ListReach'),
  listRevisions: admin('ListRevisions'),
  listAudit: admin('ListAudit'),
};

export const agentService = {
  join: method('/weft.v1.AgentService/Join', ['JoinRequest', 'JoinResponse'], false, false),
  connect: method('/weft.v1.AgentService/Connect', ['AgentMessage', 'ControlMessage'], true, true),
};

export type AdminHandlers = ServiceHandlers<typeof adminService>;
export type AgentHandlers = ServiceHandlers<typeof agentService>;

/** A channel to control at HOST:PORT. */
class ControlClient extends Client {
  constructor(address: string, credentials: ChannelCredentials, options: ChannelOptions = {}) {
    const host = parseHostPort(address)?.host ?? '';
    // RFC 6066 allows no IP address as TLS server name, and Node 26 refuses one. Who answers is known by the pin, so any name will do.
    const named = isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'weft-control' };
    super(address, credentials, { ...named, ...options });
  }
}

/** A channel to control's admin service; see callUnary and callServerStream. */
export class AdminClient extends ControlClient {}

/** A channel to control's agent service; see callUnary and callDuplex. */
export class AgentClient extends ControlClient {}

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
      ...codecOf(method),
      request,
      ...termsOf(settings),
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
    ...codecOf(method),
    request,
    ...termsOf(settings),
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
  const call = client.makeBidiStreamRequest<pb.Outgoing<Request>, Response>(...codecOf(method), ...termsOf(settings));
  cancelOnAbort(call, settings.signal);
  return call;
}

/** Metadata that every admin call carries. */
export function bearerMetadata(adminToken: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${adminToken}`);
  return metadata;
}

/** What a call of grpc-js begins with, and what it ends with. */
function codecOf<Request, Response>(method: Method<Request, Response, boolean, boolean>) {
  const serialize = (message: pb.Outgoing<Request>): Buffer => method.requestSerialize(message);
  return [method.path, serialize, (bytes: Buffer): Response => method.responseDeserialize(bytes)] as const;
}

function termsOf({ metadata = new Metadata(), deadlineMs }: CallSettings): [Metadata, CallOptions] {
  return [metadata, deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }];
}

function cancelOnAbort(call: ClientReadableStream<unknown>, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const cancel = (): void => call.cancel();
  // `status` comes exactly once, however the call ends; without it a long-lived signal would hold every call it saw.
  call.once('status', () => signal.removeEventListener('abort', cancel));
  if (signal.aborted) queueMicrotask(cancel);
  else signal.addEventListener('abort', cancel, { once: true });
}
