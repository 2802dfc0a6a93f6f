/** What the DNS server is given, and what it tells of itself. */
import type dgram from 'node:dgram';
import type net from 'node:net';
import type { AddressRange, HostPort } from '@weft/proto';
import type { Logger } from 'pino';
import type { Histogram } from '../flows/histogram.ts';
import type { NetmapSource } from '../words/netmap.ts';

/** How names outside `internal` are answered. */
export interface OutsideNames {
  /** Where they go, in the order to ask. Instead of resolv.conf. */
  readonly upstreams?: readonly HostPort[];
  /** Names such as zen.spamhaus.org, under which addresses of loopback are no way to this host but what is said. */
  readonly private?: readonly string[];
}

export interface DnsOptions extends OutsideNames {
  /** UDP and TCP on the same port; port 0 takes any that is free for both. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly netmap: NetmapSource;
  /** Where this host's VIPs lie. */
  readonly range: AddressRange;
  /** Read when `upstreams` is not given, and again whenever it changes. Default /etc/resolv.conf. */
  readonly resolvConfPath?: string;
  /** A forwarded question that nobody answered in this time gets SERVFAIL. Milliseconds, default 4,000. */
  readonly forwardTimeoutMs?: number;
  /** Where the time to an answer is counted, if anywhere. */
  readonly latency?: DnsLatency | undefined;
  readonly logger: Logger;
  /** Ends the server, and every question it has forwarded. */
  readonly signal: AbortSignal;
}

export interface DnsServer {
  readonly address: { readonly host: string; readonly port: number };
  readonly counters: Readonly<DnsCounters>;
  /** Why names outside `internal` were not answered lately, one after the other; undefined where they were, or none was asked. */
  unanswered(): string | undefined;
  /** What too many questions wait for, that were so many within 10 s; undefined where there was room for each. */
  crowded(): string | undefined;
  /** From the next question on. */
  answerOutside(names: OutsideNames): void;
  /** Answers at these sockets too, which it closes when it is told to end, or ends itself. */
  serveAlso(place: DnsPlace): () => void;
  /** Resolves when both sockets are closed. Aborting the signal does the same without waiting. */
  close(): Promise<void>;
}

/** Where else names are asked for: sockets that are bound, and listen. */
export interface DnsPlace {
  readonly udp: dgram.Socket;
  readonly tcp: net.Server;
  /** Whether names outside `internal` are answered there; else there are none. */
  readonly outside: boolean;
}

/** Seconds from a question to its answer. */
export interface DnsLatency {
  readonly internal: Pick<Histogram, 'observe'>;
  readonly forwarded: Pick<Histogram, 'observe'>;
}

export interface DnsCounters {
  /** Messages that were questions, well formed or not. */
  queries: number;
  /** Answered from the internal zone or its reverse zone. */
  internal: number;
  /** Of those, answered that there is no such name. */
  missing: number;
  /** Of those that are internal, answered with bytes made for the same question before. */
  cached: number;
  /** Sent to the host's own resolvers. */
  forwarded: number;
  /** Askers who were given a resolver's answer. */
  relayed: number;
  /** Askers of forwarded questions that no resolver answered. */
  forwardFailed: number;
  /** Records that lead to this very host or into the network, and were taken out of resolvers' answers. */
  addressesDropped: number;
  /** Answered with FORMERR, NOTIMP, REFUSED or BADVERS. */
  rejected: number;
  /** Answered with SERVFAIL because a bound was reached. */
  overloaded: number;
  /** Answered with SERVFAIL because of an error in here. */
  failed: number;
  /** Not answered: too short for a header, or not a question. */
  dropped: number;
}

export function createCounters(): DnsCounters {
  return {
    queries: 0,
    internal: 0,
    missing: 0,
    cached: 0,
    forwarded: 0,
    relayed: 0,
    forwardFailed: 0,
    addressesDropped: 0,
    rejected: 0,
    overloaded: 0,
    failed: 0,
    dropped: 0,
  };
}

/** How a question came, and so how large its answer may be and how it is forwarded. */
export type Transport = 'udp' | 'tcp';

/** Takes the one answer to a question. */
export type Reply = (message: Buffer) => void;
