/** How every gRPC channel to control is set. */
import { isIP } from 'node:net';
import type { ChannelOptions } from '@grpc/grpc-js';
import { parseHostPort } from '@weft/proto';
import { MOST_REQUEST_BYTES } from '@weft/proto/wire';

/** Options for a channel to control at HOST:PORT. */
export function channelOptions(address: string): ChannelOptions {
  const host = parseHostPort(address)?.host ?? '';
  return {
    // A proxy named in the environment is for others: control is dialled where it is said to be, and who answers is known by the pin.
    'grpc.enable_http_proxy': 0,
    // A snapshot of thousands of services, or a list of thousands of agents, is one message.
    'grpc.max_receive_message_length': 64 << 20,
    // What control would refuse is not sent.
    'grpc.max_send_message_length': MOST_REQUEST_BYTES,
    // RFC 6066 allows no IP address as TLS server name. Who answers is known by the pin, so any name will do.
    ...(isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'weft-control' }),
  };
}
