import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** A UDP socket that is told addresses and never names: the default lookup would cost a turn of the loop at everything it sends. */
export function addressSocket(type: 'udp4' | 'udp6'): Socket {
  return createSocket({
    type,
    lookup: (address, _options, callback) => callback(null, address, isIPv6(address) ? 6 : 4),
  });
}
