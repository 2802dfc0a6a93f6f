/** Free ports of this machine. */
import { randomInt } from 'node:crypto';
import net from 'node:net';

/** Below those from which a kernel takes the near ends of connections, which come and go all the time. */
const [LOWEST, BELOW] = [16_384, 25_600];
const TRIES = 100;

/** Each is given once, for as long as this process runs: who asked may not have bound it yet. */
const given = new Set<number>();

/** A port that was free a moment ago, TCP, on 127.0.0.1, and no other than before. Rejects where none is, or none can be looked at. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(LOWEST, BELOW);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES} ports from ${LOWEST} to ${BELOW - 1} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
