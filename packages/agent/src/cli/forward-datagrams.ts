/** The UDP part of weft forward: each client has a socket of its own to the service, so that answers find their way back. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { formatHostPort } from '@weft/proto';
import { conversationMs } from '../flows/flow.ts';
import type { Forwarding } from './forward-spec.ts';

/** Nothing is heard for so long, and then for twice as long again: time to look why. */
const SILENT_MS = 2_000;
/** The one that was silent for longest makes room. */
const MOST_CLIENTS = 256;

interface Client {
  readonly socket: Socket;
  /** To the service alone, so that the system tells of a refusal. */
  readonly connected: Promise<void>;
  readonly sinceMs: number;
  readonly idle: NodeJS.Timeout;
  /** Looks why nothing is heard; undefined once something is. */
  silence: NodeJS.Timeout | undefined;
}

/** Answers with the port that is listened on. Rejects with what the system says. */
export async function forwardDatagrams({ host, port, to, signal, now, broken }: Forwarding): Promise<number> {
  /** By address and port, the longest silent first. */
  const clients = new Map<string, Client>();
  // As long as any conversation through the agent lives.
  const idleMs = conversationMs(to.port);
  const server = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ipv6Only: isIPv6(host) });
  server.bind({ address: host, port, exclusive: true });
  await once(server, 'listening');
  // A port that nobody has any more, told by an answer that was sent there.
  server.on('error', () => {});
  server.on('message', (datagram, from) => {
    const key = formatHostPort(from.address, from.port);
    const client = used(key) ?? open(key, from);
    void client.connected.then(() => {
      if (clients.get(key) === client) client.socket.send(datagram, (error) => error !== null && fail(key));
    });
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

  function open(key: string, from: RemoteInfo): Client {
    const [longest] = clients.keys();
    if (clients.size >= MOST_CLIENTS && longest !== undefined) end(longest);
    const socket = createSocket('udp4');
    socket.on('error', () => fail(key));
    socket.on('message', (datagram) => {
      const client = used(key);
      if (client === undefined) return;
      clearTimeout(client.silence);
      client.silence = undefined;
      server.send(datagram, from.port, from.address, () => {});
    });
    const connected = new Promise<void>((resolve) => socket.connect(to.port, to.host, resolve));
    const idle = setTimeout(() => end(key), idleMs).unref();
    const client: Client = { socket, connected, sinceMs: now(), idle, silence: undefined };
    clients.set(key, client);
    listenFor(client, SILENT_MS);
    return client;
  }

  /** Not every service answers, so that silence by itself is nothing to tell. */
  function listenFor(client: Client, silentMs: number): void {
    client.silence = setTimeout(() => {
      broken(client.sinceMs);
      listenFor(client, 2 * silentMs);
    }, silentMs).unref();
  }

  function fail(key: string): void {
    const client = clients.get(key);
    if (client === undefined) return;
    end(key);
    broken(client.sinceMs);
  }

  function end(key: string): void {
    const client = clients.get(key);
    if (client === undefined) return;
    clients.delete(key);
    clearTimeout(client.idle);
    clearTimeout(client.silence);
    client.socket.close();
  }
}
