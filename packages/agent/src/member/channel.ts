/** How every gRPC channel to control is set. */
import { isIP } from 'node:net';
import type { ChannelOptions } from '@grpc/grpc-js';
import { parseHostPort } from '@weft/proto';

/** Options for a channel to control at HOST:PORT. */
export function channelOptions(address: string): ChannelOptions {
  const host = parseHostPort(address)?.host ?? '';
  return {
    // A snapshot of thousands of services, or a list of thousands of agents, is one message.
    'grpc.max_receive_message_length': 64 << 20,
    // RFC 6066 allows no IP address as TLS server name. Who answers is known by the pin, so any name will do.
    ...(isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'weft-control' }),
  };
}
