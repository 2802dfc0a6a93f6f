/** The TCP part of weft forward. */
import { Deadline } from '../bytes/deadline.ts';
import { connectSocket, type SocketConduit } from '../bytes/socket.ts';
import { listenConduits } from '../bytes/socket-listen.ts';
import { splice } from '../bytes/splice.ts';
import type { Forwarding } from './forward-spec.ts';

/** The agent is on this host: it answers at once, or is not there. */
const CONNECT_MS = 5_000;

/** Answers with the port that is listened on. Rejects with what the system says. */
export async function forwardStreams({ host, port, to, signal, now, broken }: Forwarding): Promise<number> {
  /** With the connection to the service, once it is there. */
  const open = new Map<SocketConduit, SocketConduit | undefined>();
  const listener = await listenConduits({ host, port }, (client) => {
    open.set(client, undefined);
    void carry(client);
  });
  const cut = () => {
    for (const [client, service] of open) {
      client.reset();
      service?.reset();
    }
  };
  // However the process ends: the kernel would close connections as if all had been said.
  process.once('exit', cut);
  const over = () => {
    if (signal.aborted && open.size === 0) process.off('exit', cut);
  };
  const stop = () => {
    listener.close();
    for (const client of open.keys()) client.reset();
    over();
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return listener.port;

  async function carry(client: SocketConduit): Promise<void> {
    const sinceMs = now();
    const deadline = new Deadline(CONNECT_MS);
    try {
      const { conduit } = await connectSocket({ ...to, deadline });
      open.set(client, conduit);
      splice(client, conduit, ({ how, failedSide }) => {
        open.delete(client);
        over();
        if (how === 'reset' && failedSide === 'b' && !signal.aborted) broken(sinceMs);
      });
    } catch {
      client.reset();
      open.delete(client);
      over();
      broken(sinceMs);
    } finally {
      deadline.close();
    }
  }
}
