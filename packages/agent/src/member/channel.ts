/** How every gRPC channel to control is set. */
import type { ChannelOptions } from '@grpc/grpc-js';
import { MOST_REQUEST_BYTES } from '@weft/proto/wire';

/** For a channel to control, wherever it is. */
export const channelOptions: ChannelOptions = {
  // A proxy named in the environment is for others: control is dialled where it is said to be, and who answers is known by the pin.
  'grpc.enable_http_proxy': 0,
  // A snapshot of thousands of services, or a list of thousands of agents, is one message.
  'grpc.max_receive_message_length': 64 << 20,
  // What control would refuse is not sent.
  'grpc.max_send_message_length': MOST_REQUEST_BYTES,
};
