/** What the gateway is given, and what it tells of itself. */
import type { Duplex } from 'node:stream';
import type { FlowOutcome } from '@weft/proto';
import type { Logger } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { NetmapSource } from '../words/netmap.ts';

/**
 * Opens one flow from the internet to an instance of a web service, decides whether it may, and sees to its flow record:
 * the gateway keeps none of its own. `clientAddress` is the public client's, for that record.
 *
 * The duplex carries plain HTTP/1.1, belongs to the gateway, and is destroyed by it; it must fail or end as soon as the
 * verdict is withdrawn. It is destroyed with an IngressError when the service does not answer, or closes without an answer, which is for the record. The
 * deadline is of the opening alone, not of the duplex. A rejection counts as `unreachable`. `full` says why there is no room
 * for it, if so: then nothing is opened.
 */
export type OpenIngress = (
  service: string,
  port: number,
  clientAddress: string,
  deadline: Deadline,
  full?: string,
) => Promise<IngressOpened>;

export type IngressOpened =
  | { readonly opened: true; readonly duplex: Duplex }
  | { readonly opened: false; readonly outcome: FlowOutcome };

export interface GatewayOptions {
  /** Where the public comes in; port 0 takes any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly netmap: NetmapSource;
  readonly open: OpenIngress;
  readonly limits?: Partial<GatewayLimits>;
  readonly files?: OpenFiles;
  /** Called each time that a request, or somebody who had asked nothing yet, is turned away because too many come at once. */
  readonly full: () => void;
  readonly logger: Logger;
  /** Ends the listener and every connection. */
  readonly signal: AbortSignal;
}

export interface GatewayLimits {
  /** Public connections at once, of which an eighth is for newcomers. When all are taken, one that is not being answered makes room. */
  readonly connections: number;
  /** Of those, of one IPv4 address or IPv6 /64. */
  readonly connectionsOfOne: number;
  /** Request line and headers together, bytes. */
  readonly headerBytes: number;
  /** From a connection's start, or its last response's end and first byte after, to the end of the headers. */
  readonly headerMs: number;
  /** Between requests of one connection. */
  readonly keepAliveMs: number;
  /** During a request, without a byte from or to the client, unless its answer is waited for, or `stallMs` or `untakenMs` is over. An upgraded connection has no such limit. */
  readonly idleMs: number;
  /** Until a connection to the service stands: more than the agent takes for all its tries, which knows better why there is none. */
  readonly openMs: number;
  /** From a request sent whole to the answer's first byte, where the service has no limit of its own. */
  readonly responseMs: number;
  /** At less than 500 B/s of a request's body sent, or of an answer taken, before a client makes room for others while the gateway is full. */
  readonly bodyMs: number;
  /**
   * With no byte of a body that the service would take, or at less than 500 B/s of it; while the gateway is full, also with no byte of an
   * answer taken.
   */
  readonly stallMs: number;
  /**
   * With no byte of an answer taken, though there is room. What the kernel takes for the client counts as taken, some megabytes, and
   * no more until a third of them is gone: a slow client stands still for minutes.
   */
  readonly untakenMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  connections: 4096,
  connectionsOfOne: 512,
  headerBytes: 16 * 1024,
  headerMs: 15_000,
  keepAliveMs: 65_000,
  idleMs: 300_000,
  openMs: 17_000,
  responseMs: 60_000,
  bodyMs: 20_000,
  stallMs: 60_000,
  untakenMs: 300_000,
};

export interface Gateway {
  readonly address: { readonly host: string; readonly port: number };
  readonly counters: Readonly<GatewayCounters>;
  /** Resolves when the listener and every connection are closed. Aborting the signal does the same without waiting. */
  close(): Promise<void>;
}

export interface GatewayCounters {
  /** Public connections accepted. */
  connections: number;
  /** Requests read, upgrades among them. */
  requests: number;
  /** Connections that a service agreed to upgrade. */
  upgrades: number;
  /** Answered 4xx by the gateway itself. */
  refused: number;
  /** Answered 5xx by the gateway itself. */
  failed: number;
}
