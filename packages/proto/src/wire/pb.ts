/**
 * Message types by their .proto names. `pb.X` is a whole message, as decoding gives it: every scalar and list is there,
 * and only a message within it may be absent (of a oneof, all but one are). `pb.Outgoing<pb.X>` is the same for sending,
 * where what is left out has its default.
 */
import type { google, weft } from '#generated';

type Scalar = number | boolean | string | Uint8Array;

/** Generated properties are all optional and nullable; this says what is really so after decoding. */
type Whole<T> = {
  [K in keyof T as Always<K, NonNullable<T[K]>>]-?: WholeValue<NonNullable<T[K]>>;
} & {
  [K in keyof T as Sometimes<K, NonNullable<T[K]>>]?: WholeValue<NonNullable<T[K]>> | null;
};
/** An enumeration is a number here: what arrives may be none of the known ones, and generated names stay inside. */
type WholeValue<V> = V extends number
  ? number
  : V extends Scalar
    ? V
    : V extends readonly (infer E)[]
      ? WholeValue<E>[]
      : Whole<V>;

/** Left out: the generator's own notes on a message, which are the raw unknown fields and the name of a oneof's case. */
type Always<K, V> = K extends '$unknowns'
  ? never
  : V extends readonly unknown[]
    ? K
    : IsPlainScalar<V> extends true
      ? K
      : never;
type Sometimes<K, V> = V extends Scalar | readonly unknown[] ? never : K;
type IsPlainScalar<V> = V extends string ? (string extends V ? true : false) : V extends Scalar ? true : false;

export type Outgoing<T> = T extends Scalar | null | undefined
  ? T
  : T extends readonly (infer E)[]
    ? readonly Outgoing<E>[]
    : { readonly [K in keyof T]?: Outgoing<T[K]> };

/** The message of this name, for who goes by names; the others have theirs below. */
export type Message<Name extends MessageName> = Whole<Properties<(typeof weft.v1)[Name]>>;
export type MessageName = {
  [Name in keyof typeof weft.v1]: (typeof weft.v1)[Name] extends Encoded ? Name : never;
}[keyof typeof weft.v1];
type Encoded = { encode(message: never): unknown };
type Properties<Type extends Encoded> = Type extends { encode(message: infer Message): unknown } ? Message : never;

export type Timestamp = Whole<google.protobuf.Timestamp.$Properties>;
export type Duration = Whole<google.protobuf.Duration.$Properties>;
export type PortRange = Whole<weft.v1.PortRange.$Properties>;
export type Service = Whole<weft.v1.Service.$Properties>;
export type Rule = Whole<weft.v1.Rule.$Properties>;
export type PolicyTest = Whole<weft.v1.PolicyTest.$Properties>;
export type AgentSettings = Whole<weft.v1.AgentSettings.$Properties>;
export type Mesh = Whole<weft.v1.Mesh.$Properties>;
export type FlowRecord = Whole<weft.v1.FlowRecord.$Properties>;
export type JoinRequest = Whole<weft.v1.JoinRequest.$Properties>;
export type JoinResponse = Whole<weft.v1.JoinResponse.$Properties>;
export type ControlMessage = Whole<weft.v1.ControlMessage.$Properties>;
export type AgentMessage = Whole<weft.v1.AgentMessage.$Properties>;
export type Challenge = Whole<weft.v1.Challenge.$Properties>;
export type Hello = Whole<weft.v1.Hello.$Properties>;
export type Welcome = Whole<weft.v1.Welcome.$Properties>;
export type Standing = Whole<weft.v1.Standing.$Properties>;
export type ItemDigest = Whole<weft.v1.ItemDigest.$Properties>;
export type Delta = Whole<weft.v1.Delta.$Properties>;
export type Item = Whole<weft.v1.Item.$Properties>;
export type ServiceItem = Whole<weft.v1.ServiceItem.$Properties>;
export type InstanceItem = Whole<weft.v1.InstanceItem.$Properties>;
export type PeerItem = Whole<weft.v1.PeerItem.$Properties>;
export type PolicyItem = Whole<weft.v1.PolicyItem.$Properties>;
export type SelfItem = Whole<weft.v1.SelfItem.$Properties>;
export type Ack = Whole<weft.v1.Ack.$Properties>;
export type Report = Whole<weft.v1.Report.$Properties>;
export type FlowBatch = Whole<weft.v1.FlowBatch.$Properties>;
export type TraceRequest = Whole<weft.v1.TraceRequest.$Properties>;
export type TraceResult = Whole<weft.v1.TraceResult.$Properties>;
export type ExposedPlace = Whole<weft.v1.ExposedPlace.$Properties>;
export type TryPlacesRequest = Whole<weft.v1.TryPlacesRequest.$Properties>;
export type TryPlacesResult = Whole<weft.v1.TryPlacesResult.$Properties>;
export type ReportedExposure = Whole<weft.v1.ReportedExposure.$Properties>;
export type ApplyRequest = Whole<weft.v1.ApplyRequest.$Properties>;
export type ApplyResponse = Whole<weft.v1.ApplyResponse.$Properties>;
export type ChangeTerms = Whole<weft.v1.ChangeTerms.$Properties>;
export type ChangeResult = Whole<weft.v1.ChangeResult.$Properties>;
export type FieldMessage = Whole<weft.v1.FieldMessage.$Properties>;
export type GetStatusResponse = Whole<weft.v1.GetStatusResponse.$Properties>;
export type Network = Whole<weft.v1.Network.$Properties>;
export type ServiceStatus = Whole<weft.v1.ServiceStatus.$Properties>;
export type Instance = Whole<weft.v1.Instance.$Properties>;
export type Agent = Whole<weft.v1.Agent.$Properties>;
export type AgentTelemetry = Whole<weft.v1.AgentTelemetry.$Properties>;
export type WatchNetworkResponse = Whole<weft.v1.WatchNetworkResponse.$Properties>;
export type CreateTokenRequest = Whole<weft.v1.CreateTokenRequest.$Properties>;
export type Token = Whole<weft.v1.Token.$Properties>;
export type ExplainRequest = Whole<weft.v1.ExplainRequest.$Properties>;
export type ExplainResponse = Whole<weft.v1.ExplainResponse.$Properties>;
export type ListFlowsRequest = Whole<weft.v1.ListFlowsRequest.$Properties>;
export type ListFlowsResponse = Whole<weft.v1.ListFlowsResponse.$Properties>;
export type Caller = Whole<weft.v1.Caller.$Properties>;
export type Flow = Whole<weft.v1.Flow.$Properties>;
export type WatchFlowsRequest = Whole<weft.v1.WatchFlowsRequest.$Properties>;
export type WatchFlowsResponse = Whole<weft.v1.WatchFlowsResponse.$Properties>;
export type Telemetry = Whole<weft.v1.Telemetry.$Properties>;
export type PairTraffic = Whole<weft.v1.PairTraffic.$Properties>;
export type DeniedAttempt = Whole<weft.v1.DeniedAttempt.$Properties>;
export type PeerTunnels = Whole<weft.v1.PeerTunnels.$Properties>;
export type FlowFilter = Whole<weft.v1.FlowFilter.$Properties>;
export type CountFlowsRequest = Whole<weft.v1.CountFlowsRequest.$Properties>;
export type CountFlowsResponse = Whole<weft.v1.CountFlowsResponse.$Properties>;
export type ListTrafficResponse = Whole<weft.v1.ListTrafficResponse.$Properties>;
export type Denial = Whole<weft.v1.Denial.$Properties>;
export type OlderData = Whole<weft.v1.OlderData.$Properties>;
export type Traffic = Whole<weft.v1.Traffic.$Properties>;
export type HostReach = Whole<weft.v1.HostReach.$Properties>;
export type Reach = Whole<weft.v1.Reach.$Properties>;
export type Revision = Whole<weft.v1.Revision.$Properties>;
export type Change = Whole<weft.v1.Change.$Properties>;
export type AuditEntry = Whole<weft.v1.AuditEntry.$Properties>;
export type Actor = Whole<weft.v1.Actor.$Properties>;
export type OpenFlowsRequest = Whole<weft.v1.OpenFlowsRequest.$Properties>;
export type OpenFlowsResult = Whole<weft.v1.OpenFlowsResult.$Properties>;
export type LiveFlow = Whole<weft.v1.LiveFlow.$Properties>;
export type OpenFlow = Whole<weft.v1.OpenFlow.$Properties>;
export type HostOpenFlows = Whole<weft.v1.HostOpenFlows.$Properties>;
export type ListOpenFlowsRequest = Whole<weft.v1.ListOpenFlowsRequest.$Properties>;
export type ListOpenFlowsResponse = Whole<weft.v1.ListOpenFlowsResponse.$Properties>;
