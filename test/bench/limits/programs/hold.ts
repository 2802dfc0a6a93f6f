/**
 * hold HOST PORT COUNT AT-ONCE: opens so many connections, says one small request on each and hears its answer, and keeps
 * them open until it is ended.
 */
import net from 'node:net';

const [host = '', port, count, atOnce] = process.argv.slice(2);
const request = Buffer.alloc(64, 'weft');
const open: net.Socket[] = [];
let started = 0;

function next(): void {
  if (started >= Number(count)) return;
  started += 1;
  let heard = 0;
  const socket = net.connect({ host, port: Number(port), noDelay: true }, () => socket.write(request));
  const answered = (piece: Buffer): void => {
    heard += piece.length;
    if (heard < request.length) return;
    socket.off('data', answered);
    socket.resume();
    open.push(socket);
    if (open.length === Number(count)) process.stdout.write(`held ${count}\n`);
    next();
  };
  socket.on('data', answered);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error(`connection ${open.length} was closed`)));
}

function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

for (let index = 0; index < Number(atOnce); index++) next();
