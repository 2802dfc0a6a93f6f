/**
 * stepped-calls HOST PORT CALLS AT_ONCE: connects, sends 64 bytes, waits for the first byte of the answer, closes, and again. Prints for each
 * call when it connected, when the kernel said so and when the first byte came: microseconds of the clock that all processes share, as JSON.
 */
import net from 'node:net';

const [host = '', port = '', calls = '1', atOnce = '1'] = process.argv.slice(2);
const request = Buffer.alloc(64, 'q');
const now = (): number => Number(process.hrtime.bigint()) / 1_000;
const times: (readonly [number, number, number])[] = [];
let begun = 0;

function call(): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = now();
    let connected = 0;
    const socket = net.connect({ host, port: Number(port), noDelay: true }, () => {
      connected = now();
      socket.write(request);
    });
    socket.once('data', () => {
      times.push([asked, connected, now()]);
      socket.end();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

async function loop(): Promise<void> {
  while (begun < Number(calls)) {
    begun += 1;
    await call();
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, loop));
process.stdout.write(`${JSON.stringify(times)}\n`);
