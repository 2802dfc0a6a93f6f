/** ping HOST PORT MILLISECONDS: one 64-byte message to and fro at a time; prints how long it took, microseconds, as JSON. */
import net from 'node:net';
import { spread } from '../../statistics.ts';

const [host = '', port, milliseconds] = process.argv.slice(2);
const message = Buffer.alloc(64, 'weft');
/** The first ones warm the path, the code and the tunnel's estimate of the round trip. */
const WARM = 200;

const times: number[] = [];
let asked = 0;
let heard = 0;
let deadline = Number.POSITIVE_INFINITY;
let rounds = 0;

const socket = net.connect({ host, port: Number(port), noDelay: true }, ask);
socket.on('data', (piece: Buffer) => {
  heard += piece.length;
  if (heard < message.length) return;
  const now = performance.now();
  rounds += 1;
  if (rounds > WARM) times.push((now - asked) * 1_000);
  else if (rounds === WARM) deadline = now + Number(milliseconds);
  if (now < deadline) ask();
  else finish();
});
socket.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

function ask(): void {
  heard = 0;
  asked = performance.now();
  socket.write(message);
}

function finish(): void {
  socket.destroy();
  process.stdout.write(`${JSON.stringify({ ...spread(times), count: times.length })}\n`);
}
