/** Free ports of this machine. */
import { randomInt } from 'node:crypto';
import net from 'node:net';

/** Below those from which a kernel takes the near ends of connections, which come and go all the time. */
const [LOWEST, BELOW] = [16_384, 25_600];
const TRIES = 100;

/** A port of 127.0.0.1 that is free of TCP, and that nobody of this machine who asks here is given while this process runs. Rejects where none is found. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(LOWEST, BELOW);
    if (!(await claims(port))) continue;
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES} ports from ${LOWEST} to ${BELOW - 1} is free`);
}

/**
 * Who asked may not bind it for long, and binds it again when a program starts again: until the process ends others are kept from it by a name
 * that one process of a machine can have, a socket's in the kernel (abstract, unix(7)), which Linux alone has.
 */
async function claims(port: number): Promise<boolean> {
  return (
    process.platform !== 'linux' || listens((server) => server.listen(`\0weft-free-port-${port}`).unref(), 'stays')
  );
}

function isFree(port: number): Promise<boolean> {
  return listens((server) => server.listen(port, '127.0.0.1'), 'ends');
}

function listens(listen: (server: net.Server) => void, then: 'stays' | 'ends'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.once('listening', () => {
      if (then === 'stays') resolve(true);
      else server.close(() => resolve(true));
    });
    listen(server);
  });
}
