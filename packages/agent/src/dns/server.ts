/** The DNS server of one agent: two sockets, one responder, one forwarder. */
import type dgram from 'node:dgram';
import { once } from 'node:events';
import type net from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { HostPort, Protocol } from '@weft/proto';
import { ListenError } from '@weft/proto/observe';
import { emptyAnswer, encodeAnswer } from './answer.ts';
import { leadsInside } from './forward-zone.ts';
import { Forwarder } from './forwarder.ts';
import { ipv4Alone } from './ipv4-alone.ts';
import { Rcode } from './message.ts';
import { Responder } from './responder.ts';
import { bindTcp, serveTcp } from './tcp.ts';
import { createCounters, type DnsOptions, type DnsPlace, type DnsServer, type OutsideNames } from './types.ts';
import { bindUdp, serveUdp } from './udp.ts';
import { DNS_PORT, fixedUpstreams, resolvConfUpstreams, type UpstreamSource } from './upstreams.ts';

const FORWARD_TIMEOUT_MS = 4000;
/** Tries to find a port that is free for both protocols, where any will do. */
const PORT_TRIES = 10;

/** Answers when both sockets listen. Throws ListenError. */
export async function createDnsServer(options: DnsOptions): Promise<DnsServer> {
  const { listen, netmap, range, signal } = options;
  signal.throwIfAborted();
  const logger = options.logger.child({ part: 'dns' });
  const { tcp, udp, port } = await bindBoth(listen.host, listen.port, options);
  const address = { host: listen.host, port };
  const counters = createCounters();
  const sourceOf = ({ upstreams }: OutsideNames): UpstreamSource => {
    const source =
      upstreams === undefined
        ? resolvConfUpstreams(options.resolvConfPath ?? '/etc/resolv.conf', address, logger)
        : fixedUpstreams(upstreams, address);
    // Asked now: those that the file names before this agent's address is written into it are wanted then.
    source();
    return source;
  };
  const outside = { names: options as OutsideNames, source: (): readonly HostPort[] => [], private: labelsOf(options) };
  let forwarder: Forwarder;
  try {
    const timeoutMs = options.forwardTimeoutMs ?? FORWARD_TIMEOUT_MS;
    outside.source = sourceOf(options);
    const ground = {
      range,
      leadsInside: (labels: readonly string[]) => leadsInside(netmap.current, labels),
      get private() {
        return outside.private;
      },
    };
    forwarder = new Forwarder({ upstreams: () => outside.source(), timeoutMs, counters, ground, logger });
  } catch (error) {
    tcp.close();
    udp.close();
    throw error;
  }
  const responder = new Responder({ netmap, range, forwarder, counters, latency: options.latency, logger });
  serveUdp(udp, responder);
  const endConnections = serveTcp(tcp, responder);
  tcp.on('error', (error) => logger.warn({ event: 'dns-tcp-error', err: error }, 'error on the DNS listener'));

  const ours = { netmap, range, counters, latency: options.latency, logger };
  const inside = new Responder({ ...ours, forwarder: NOWHERE });
  const outward = new Responder({ ...ours, forwarder: ipv4Alone(forwarder) });
  const also = new Set<() => void>();
  const serveAlso = ({ udp: datagrams, tcp: streams, outside: forwards }: DnsPlace): (() => void) => {
    const answering = forwards ? outward : inside;
    datagrams.on('error', (err) => logger.warn({ event: 'dns-udp-error', err }, 'error on the DNS socket'));
    streams.on('error', (err) => logger.warn({ event: 'dns-tcp-error', err }, 'error on the DNS listener'));
    serveUdp(datagrams, answering);
    const endTheirs = serveTcp(streams, answering);
    const end = () => {
      if (!also.delete(end)) return;
      endTheirs();
      streams.close();
      datagrams.close();
    };
    also.add(end);
    return end;
  };
  const closed = Promise.all([once(tcp, 'close'), once(udp, 'close')]).then(() => undefined);
  let closing = false;
  const close = (): Promise<void> => {
    if (!closing) {
      closing = true;
      signal.removeEventListener('abort', onAbort);
      forwarder.close();
      endConnections();
      for (const end of also) end();
      tcp.close();
      udp.close();
    }
    return closed;
  };
  const onAbort = (): void => void close();
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) await close();
  logger.info({ event: 'dns-up', ...address }, 'answering names');
  const answerOutside = (names: OutsideNames): void => {
    // What was read of resolv.conf before this agent stood in it is known no more to who reads it anew.
    if (!isDeepStrictEqual(names.upstreams, outside.names.upstreams)) outside.source = sourceOf(names);
    outside.private = labelsOf(names);
    outside.names = names;
  };
  const unanswered = (): string | undefined => forwarder.unanswered();
  const crowded = (): string | undefined => forwarder.crowded();
  return { address, counters, unanswered, crowded, answerOutside, serveAlso, close };
}

/** Where there is nothing but the network, no other name is one: said at once, so that nobody waits. */
const NOWHERE: Pick<Forwarder, 'forward'> = {
  forward: (_packet, query, transport, reply) => reply(encodeAnswer(query, emptyAnswer(Rcode.NXDOMAIN), transport)),
};

function labelsOf({ private: domains = [] }: OutsideNames): readonly (readonly string[])[] {
  return domains.map((domain) => domain.toLowerCase().split('.'));
}

/** Where the port of all names is somebody else's. */
const ELSEWHERE = '--dns 127.0.0.1:7453, where systemd-resolved can be told to ask (README, Names)';

const unbound = (host: string, port: number, cause: unknown, protocol: Protocol): ListenError =>
  new ListenError({ host, port }, port === DNS_PORT ? ELSEWHERE : '--dns HOST:PORT', cause, protocol);

async function bindBoth(
  host: string,
  wanted: number,
  { logger }: DnsOptions,
): Promise<{ tcp: net.Server; udp: dgram.Socket; port: number }> {
  for (let tries = wanted === 0 ? PORT_TRIES : 1; ; tries--) {
    let tcp: net.Server;
    try {
      tcp = await bindTcp(host, wanted);
    } catch (error) {
      throw unbound(host, wanted, error, 'tcp');
    }
    const bound = tcp.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : wanted;
    try {
      return { tcp, udp: await bindUdp(host, port, logger), port };
    } catch (error) {
      tcp.close();
      // Free for TCP, taken for UDP: with port 0 another will do.
      const unlistened = unbound(host, port, error, 'udp');
      if (tries <= 1 || unlistened.code !== 'taken') throw unlistened;
    }
  }
}
