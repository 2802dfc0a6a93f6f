/**
 * sink [--burst BYTES --every MILLISECONDS]: reads and forgets; with a burst it takes that much, then nothing until the
 * time is over. Says of each connection, when it ended, how much came and how fast: JSON, one line.
 */
import net from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { burst: { type: 'string' }, every: { type: 'string' } } });
const burst = values.burst === undefined ? Number.POSITIVE_INFINITY : Number(values.burst);
const every = Number(values.every ?? 0);

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let bytes = 0;
  let taken = 0;
  let started = 0;
  let paused: NodeJS.Timeout | undefined;
  let burstStarted = performance.now();
  socket.on('data', (piece: Buffer) => {
    if (bytes === 0) started = performance.now();
    bytes += piece.length;
    taken += piece.length;
    if (taken < burst) return;
    taken -= burst;
    socket.pause();
    paused = setTimeout(
      () => {
        burstStarted = performance.now();
        socket.resume();
      },
      Math.max(0, burstStarted + every - performance.now()),
    );
  });
  socket.on('end', () => {
    const seconds = (performance.now() - started) / 1_000;
    process.stdout.write(`${JSON.stringify({ bytes, seconds })}\n`);
    socket.end();
  });
  socket.on('close', () => clearTimeout(paused));
  socket.on('error', () => socket.destroy());
});
server.listen({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`listening ${(server.address() as net.AddressInfo).port}\n`);
});
