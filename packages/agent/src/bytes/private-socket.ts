/** Unix sockets that are for this process's user alone. */
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import type { Server } from 'node:net';

/**
 * Listens at the path, whose file nobody else can connect to at any time, whatever the umask and the directory's mode are. What listens is
 * there when this returns; resolves once it is told. Rejects with the system's error. Of the main thread: the umask is the process's.
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening');
  // bind() gives the file the mode that the umask leaves, and happens inside listen(), so the mask is this call's alone.
  const mask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  // A directory's default ACL goes before the mask.
  if (server.listening) chmodSync(path, 0o600);
  await listening;
  server.on('error', () => {});
}
