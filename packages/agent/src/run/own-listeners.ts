/** What this very agent listens on, which is no program's. */
import {
  type AddressRange,
  type HostPort,
  inRange,
  isLoopbackRange,
  type Protocol,
  parseAddress,
  parseHostPort,
} from '@weft/proto';
import type { Listener } from '../inbound/listener-table.ts';
import type { BoundTunnels } from '../tunnel/create.ts';
import type { OpenGateway } from './gateway.ts';
import type { AgentOptions } from './options.ts';

/** What of the agent listens by now. */
export interface Bound {
  tunnels?: BoundTunnels;
  gateway?: OpenGateway;
}

/** What the agent itself listens on beside its places: a service of such a port has no program for that. */
export function ownListeners({ tunnel, dns, metrics }: AgentOptions, { tunnels, gateway }: Bound): readonly Listener[] {
  const tunnelAt = tunnels && { host: tunnel.host, port: tunnels.port };
  const there = (...all: readonly (HostPort | undefined)[]) => all.filter((at) => at !== undefined);
  const tcp = there(tunnelAt, dns, metrics, parseHostPort(gateway?.address ?? ''));
  const udp = there(tunnels?.datagrams === true ? tunnelAt : undefined, dns);
  const listener = (protocol: Protocol) => (at: HostPort) => ({ protocol, address: at.host, port: at.port });
  return [...tcp.map(listener('tcp')), ...udp.map(listener('udp'))];
}

/** Those, and VIPs outside loopback, where others could come but for their callers' addresses. */
export function isOwn(own: readonly Listener[], range: AddressRange): (listener: Listener) => boolean {
  const vips = isLoopbackRange(range) ? undefined : range;
  return ({ protocol, address, port }) =>
    (vips !== undefined && inRange(parseAddress(address) ?? -1, vips)) ||
    own.some((each) => each.protocol === protocol && each.port === port && each.address === address);
}
