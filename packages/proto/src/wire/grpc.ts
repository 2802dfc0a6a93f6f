/** The two gRPC services over the generated codecs, without reflection at run time. */
import {
  Client,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
} from '@grpc/grpc-js';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import type * as pb from './pb.ts';

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

function method<Request, Response, RequestStream extends boolean, ResponseStream extends boolean>(
  path: string,
  request: MessageCodec,
  response: MessageCodec,
  requestStream: RequestStream,
  responseStream: ResponseStream,
): Method<Request, Response, RequestStream, ResponseStream> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (message) => serialize(request, message),
    requestDeserialize: (bytes) => deserialize<Request>(request, bytes),
    responseSerialize: (message) => serialize(response, message),
    responseDeserialize: (bytes) => deserialize<Response>(response, bytes),
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

const v1 = weft.v1;

function admin<Request, Response>(
  name: string,
  request: MessageCodec,
  response: MessageCodec,
): UnaryMethod<Request, Response> {
  return method(`/weft.v1.AdminService/${name}`, request, response, false, false);
}

export const adminService = {
  apply: admin<pb.ApplyRequest, pb.ApplyResponse>('Apply', v1.ApplyRequest, v1.ApplyResponse),
  getMesh: admin<pb.GetMeshRequest, pb.GetMeshResponse>('GetMesh', v1.GetMeshRequest, v1.GetMeshResponse),
  getStatus: admin<pb.GetStatusRequest, pb.GetStatusResponse>('GetStatus', v1.GetStatusRequest, v1.GetStatusResponse),
  listServices: admin<pb.ListServicesRequest, pb.ListServicesResponse>(
    'ListServices',
    v1.ListServicesRequest,
    v1.ListServicesResponse,
  ),
  listAgents: admin<pb.ListAgentsRequest, pb.ListAgentsResponse>(
    'ListAgents',
    v1.ListAgentsRequest,
    v1.ListAgentsResponse,
  ),
  revokeAgent: admin<pb.RevokeAgentRequest, pb.RevokeAgentResponse>(
    'RevokeAgent',
    v1.RevokeAgentRequest,
    v1.RevokeAgentResponse,
  ),
  createToken: admin<pb.CreateTokenRequest, pb.CreateTokenResponse>(
    'CreateToken',
    v1.CreateTokenRequest,
    v1.CreateTokenResponse,
  ),
  listTokens: admin<pb.ListTokensRequest, pb.ListTokensResponse>(
    'ListTokens',
    v1.ListTokensRequest,
    v1.ListTokensResponse,
  ),
  revokeToken: admin<pb.RevokeTokenRequest, pb.RevokeTokenResponse>(
    'RevokeToken',
    v1.RevokeTokenRequest,
    v1.RevokeTokenResponse,
  ),
  explain: admin<pb.ExplainRequest, pb.ExplainResponse>('Explain', v1.ExplainRequest, v1.ExplainResponse),
  watchFlows: method<pb.WatchFlowsRequest, pb.WatchFlowsResponse, false, true>(
    '/weft.v1.AdminService/WatchFlows',
    v1.WatchFlowsRequest,
    v1.WatchFlowsResponse,
    false,
    true,
  ),
  getFlowHistory: admin<pb.GetFlowHistoryRequest, pb.GetFlowHistoryResponse>(
    'GetFlowHistory',
    v1.GetFlowHistoryRequest,
    v1.GetFlowHistoryResponse,
  ),
  listTraffic: admin<pb.ListTrafficRequest, pb.ListTrafficResponse>(
    'ListTraffic',
    v1.ListTrafficRequest,
    v1.ListTrafficResponse,
  ),
  listReach: admin<pb.ListReachRequest, pb.ListReachResponse>('ListReach', v1.ListReachRequest, v1.ListReachResponse),
  listRevisions: admin<pb.ListRevisionsRequest, pb.ListRevisionsResponse>(
    'ListRevisions',
    v1.ListRevisionsRequest,
    v1.ListRevisionsResponse,
  ),
  listAudit: admin<pb.ListAuditRequest, pb.ListAuditResponse>('ListAudit', v1.ListAuditRequest, v1.ListAuditResponse),
};

export const agentService = {
  join: method<pb.JoinRequest, pb.JoinResponse, false, false>(
    '/weft.v1.AgentService/Join',
    v1.JoinRequest,
    v1.JoinResponse,
    false,
    false,
  ),
  connect: method<pb.AgentMessage, pb.ControlMessage, true, true>(
    '/weft.v1.AgentService/Connect',
    v1.AgentMessage,
    v1.ControlMessage,
    true,
    true,
  ),
};

export type AdminHandlers = ServiceHandlers<typeof adminService>;
export type AgentHandlers = ServiceHandlers<typeof agentService>;

/** A channel to control's admin service; see callUnary and callServerStream. */
export class AdminClient extends Client {}

/** A channel to control's agent service; see callUnary and callDuplex. */
export class AgentClient extends Client {}
