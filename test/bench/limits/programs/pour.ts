/**
 * pour HOST PORT MILLISECONDS: writes as fast as it is taken for that long, ends, and waits for the far end to have read
 * all. Prints `pouring` when the first bytes were taken. `--bytes N` in place of the time ends after so many.
 */
import net from 'node:net';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { bytes: { type: 'string' } } });
const [host = '', port, milliseconds] = positionals;
const total = values.bytes === undefined ? Number.POSITIVE_INFINITY : Number(values.bytes);
const deadline = performance.now() + (milliseconds === undefined ? Number.POSITIVE_INFINITY : Number(milliseconds));
const piece = Buffer.alloc(128 * 1024, 'weft');
let offered = 0;

const socket = net.connect({ host, port: Number(port), noDelay: true }, () => {
  pour();
  process.stdout.write('pouring\n');
});
socket.on('drain', pour);
socket.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
socket.resume();

function pour(): void {
  while (offered < total && performance.now() < deadline) {
    const length = Math.min(piece.length, total - offered);
    offered += length;
    if (!socket.write(length === piece.length ? piece : piece.subarray(0, length))) return;
  }
  socket.off('drain', pour);
  socket.end();
}
