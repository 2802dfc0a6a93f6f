/** Sends back what it hears, on a free port of 127.0.0.1. */
import net from 'node:net';

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  // Not a pipe: ten thousand of them would be what is measured.
  socket.on('data', (piece: Buffer) => void socket.write(piece));
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  process.stdout.write(`listening ${(server.address() as net.AddressInfo).port}\n`);
});
