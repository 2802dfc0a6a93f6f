/** Answers 64 bytes with 64 bytes, on every connection: answer-server.ts PORT ADDRESS.. */
import net from 'node:net';

const SIZE = 64;
const [port = '', ...addresses] = process.argv.slice(2);
const answer = Buffer.alloc(SIZE, 'a');

function serve(socket: net.Socket): void {
  let missing = SIZE;
  socket.on('data', (piece) => {
    for (missing -= piece.length; missing <= 0; missing += SIZE) socket.write(answer);
  });
  // A caller that went away; it counts that itself.
  socket.on('error', () => socket.destroy());
}

await Promise.all(
  addresses.map(
    (host) =>
      new Promise<void>((resolve, reject) => {
        const server = net.createServer({ noDelay: true }, serve);
        server.once('error', reject);
        server.listen({ host, port: Number(port), backlog: 1_024 }, resolve);
      }),
  ),
);
process.stdout.write('ready\n');
