/** The TCP part of weft forward. */
import { Deadline } from '../bytes/deadline.ts';
import { connectSocket, type SocketConduit } from '../bytes/socket.ts';
import { listenConduits } from '../bytes/socket-listen.ts';
import { splice } from '../bytes/splice.ts';
import type { Forwarding } from './forward-spec.ts';

/** The agent is on this host: it answers at once, or is not there. */
const CONNECT_MS = 5_000;

/** Answers with the port that is listened on. Rejects with what the system says. */
export async function forwardStreams({ host, port, to, signal, now, broken, open }: Forwarding): Promise<number> {
  const listener = await listenConduits({ host, port }, (client) => {
    open.set(client);
    void carry(client);
  });
  const stop = () => listener.close();
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
        if (how === 'reset' && failedSide === 'b' && !signal.aborted) broken(sinceMs);
      });
    } catch {
      client.reset();
      open.delete(client);
      broken(sinceMs);
    } finally {
      deadline.close();
    }
  }
}
