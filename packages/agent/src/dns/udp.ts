/** Questions over UDP. */
import type dgram from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import { addressSocket } from '../bytes/address-socket.ts';
import { datagramOutput, receiveDatagrams } from '../bytes/datagrams.ts';
import type { Responder } from './responder.ts';

/** Room for some thousand questions that come while the thread is busy; the kernel may grant less. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Bytes of answers that may wait for the kernel. */
const UNSENT_LIMIT = 1 << 20;

export async function bindUdp(host: string, port: number, logger: Logger): Promise<dgram.Socket> {
  const socket = addressSocket(isIPv6(host) ? 'udp6' : 'udp4');
  try {
    // With that lookup the socket may be bound before bind() returns.
    const listening = once(socket, 'listening');
    socket.bind({ port, address: host, exclusive: true });
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', (error) => logger.warn({ event: 'dns-udp-error', err: error }, 'error on the DNS socket'));
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch (error) {
    logger.debug({ event: 'dns-udp-buffer', err: error }, 'the receive buffer keeps its size');
  }
  return socket;
}

export function serveUdp(socket: dgram.Socket, responder: Responder): void {
  let open = true;
  const output = datagramOutput(socket, UNSENT_LIMIT, () => undefined);
  socket.on('close', () => {
    open = false;
  });
  receiveDatagrams(socket, (packet, from) => {
    // No program asks from port 0, and nothing can be sent there: the attempt would throw.
    if (from.port === 0) return;
    responder.respond(packet, 'udp', (message) => {
      // A send that fails is an answer lost, as on any network: the asker asks again.
      if (open) output.send(message, from.port, from.address);
    });
  });
}
