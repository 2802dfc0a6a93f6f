/** What one agent asks of another to open a flow, and how it is answered. docs/WIRE.md, section "Streams". */

import { SELECTS_USERS, TAKES_EARLY_DATA } from '@weft/proto';

/** Who the opener says is calling. The destination believes it only as far as the peer's key allows. */
export type SourceClaim =
  | { readonly type: 'service'; readonly name: string; readonly user?: ClaimedUser }
  | { readonly type: 'host'; readonly user?: ClaimedUser }
  /** Only from a gateway; `address` is the client's, for records. */
  | { readonly type: 'internet'; readonly address: string };

/** Name of the user of who calls; empty for one that no rule can name. Left out where it is not known, or no rule asks. */
export type ClaimedUser = string;

/** Opens one flow at the destination agent. */
export interface OpenRequest {
  /** 16 hexadecimal digits, made by the source. */
  readonly flowId: string;
  readonly protocol: 'tcp' | 'udp';
  readonly service: string;
  /** Instance wanted, by ordinal. */
  readonly ordinal: number;
  readonly port: number;
  readonly source: SourceClaim;
}

/** Bytes of a caller's that may go with the opening of its flow: a request of most protocols, and small beside every window. */
export const MAXIMUM_EARLY = 4_096;

/** What a caller says before its opening has an answer. */
export interface EarlyData {
  /** Gives `take` each piece from the first on, at once what is there. The pieces stay as they are. */
  follow(take: (piece: Buffer) => void): void;
  /** Gives no more of them. */
  leave(): void;
}

/** Where a permitted flow is to go and who opens it: what an OpenRequest says beside its Permit. */
export interface FlowTarget extends Pick<OpenRequest, 'flowId' | 'ordinal' | 'source'> {
  readonly agentId: string;
}

export type RefusalCode = 'denied' | 'no-instance' | 'not-listening' | 'overloaded';

/** The destination's answer when it will not carry the flow. */
export interface Refusal {
  readonly code: RefusalCode;
  /** The rule that denied; empty for other codes. */
  readonly rule: string;
  /** Revision the destination decided under. */
  readonly revision: number;
  readonly detail: string;
}

/** As a peer told it, or this agent in its place; `other` is a code of a newer version. */
export interface PeerRefusal extends Omit<Refusal, 'code'> {
  readonly code: RefusalCode | 'other';
}

export type Opened<C, R extends PeerRefusal = Refusal> =
  /** `early`: bytes of the early data that the destination has. */
  | { readonly opened: true; readonly conduit: C; readonly early?: number }
  | { readonly opened: false; readonly refusal: R };

/** The capability that brought each way of asking for a flow. */
export interface AskedSince {
  readonly protocols: Readonly<Record<OpenRequest['protocol'], number>>;
  readonly sources: Readonly<Record<SourceClaim['type'], number>>;
  /** Whoever has less is not told the user. */
  readonly users: number;
  /** Whoever has less gets no early data. */
  readonly early: number;
}

export const ASKED_SINCE: AskedSince = {
  protocols: { tcp: 1, udp: 1 },
  sources: { service: 1, host: 1, internet: 1 },
  users: SELECTS_USERS,
  early: TAKES_EARLY_DATA,
};
