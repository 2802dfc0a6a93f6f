/** The UDP part of weft forward: each client has a socket of its own to the service, so that answers find their way back. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { formatHostPort } from '@weft/proto';
import type { Forwarding } from './forward-spec.ts';

/** Without a datagram either way, as the agent's own. */
const IDLE_MS = 60_000;
/** The one that was silent for longest makes room. */
const MOST_CLIENTS = 256;

interface Client {
  readonly socket: Socket;
  readonly idle: NodeJS.Timeout;
}

/** Answers with the port that is listened on. Rejects with what the system says. */
export async function forwardDatagrams({ host, port, to, signal }: Forwarding): Promise<number> {
  /** By address and port, the longest silent first. */
  const clients = new Map<string, Client>();
  const server = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
  server.bind({ address: host, port, exclusive: true });
  await once(server, 'listening');
  // A port that nobody has any more, told by an answer that was sent there.
  server.on('error', () => {});
  server.on('message', (datagram, from) => {
    const client = used(formatHostPort(from.address, from.port)) ?? open(from);
    client.socket.send(datagram, to.port, to.host, () => {});
  });
  const stop = () => {
    server.close();
    for (const key of clients.keys()) end(key);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return server.address().port;

  function used(key: string): Client | undefined {
    const client = clients.get(key);
    if (client === undefined) return undefined;
    clients.delete(key);
    clients.set(key, client);
    client.idle.refresh();
    return client;
  }

  function open(from: RemoteInfo): Client {
    const [longest] = clients.keys();
    if (clients.size >= MOST_CLIENTS && longest !== undefined) end(longest);
    const key = formatHostPort(from.address, from.port);
    const socket = createSocket('udp4');
    socket.on('error', () => end(key));
    socket.on('message', (datagram, { address, port: source }) => {
      if (address !== to.host || source !== to.port || used(key) === undefined) return;
      server.send(datagram, from.port, from.address, () => {});
    });
    const client = { socket, idle: setTimeout(() => end(key), IDLE_MS).unref() };
    clients.set(key, client);
    return client;
  }

  function end(key: string): void {
    const client = clients.get(key);
    if (client === undefined) return;
    clients.delete(key);
    clearTimeout(client.idle);
    client.socket.close();
  }
}
