/** Programs of a scenario's hosts: servers on ports of their own, and what a client sees of a connection. */
import dgram from 'node:dgram';
import net from 'node:net';

/** What can be closed at the end of a test. */
export interface Program {
  readonly port: number;
  stop(): Promise<void>;
}

export interface TcpProgram extends Program {
  /** Every connection it ever took. */
  readonly sockets: readonly net.Socket[];
  /** Takes no more; those that are open go on. */
  drain(): void;
}

/** Stops with its connections reset, as a program that crashed. */
export async function serveTcp(serve: (socket: net.Socket) => void): Promise<TcpProgram> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const stop = (): Promise<void> => {
    for (const socket of sockets) socket.resetAndDestroy();
    return new Promise((resolve) => {
      server.close(() => resolve());
    });
  };
  const drain = (): void => {
    if (server.listening) server.close();
  };
  return { port, sockets, stop, drain };
}

export function echo(): Promise<TcpProgram> {
  return serveTcp((socket) => socket.pipe(socket));
}

/** Answers each connection with its name at once, then echoes. */
export function named(name: string): Promise<TcpProgram> {
  return serveTcp((socket) => {
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
}

export async function serveUdp(
  serve: (payload: Buffer, from: dgram.RemoteInfo, socket: dgram.Socket) => void,
): Promise<Program> {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.on('message', (payload, from) => serve(payload, from, socket));
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      socket.close(() => resolve());
    });
  return { port: socket.address().port, stop };
}

export function echoUdp(): Promise<Program> {
  return serveUdp((payload, from, socket) => socket.send(payload, from.port, from.address));
}

export type Ending = 'closed' | 'reset';

/** How the connection ends; what arrives until then is read away. */
export function ending(socket: net.Socket): Promise<Ending> {
  let how: Ending = 'closed';
  socket.on('error', () => {
    how = 'reset';
  });
  socket.resume();
  // A client without a half to keep open: what the far end finished is finished.
  socket.on('end', () => socket.end());
  if (socket.destroyed) return Promise.resolve(socket.errored === null ? 'closed' : 'reset');
  return new Promise((resolve) => socket.once('close', () => resolve(how)));
}

/** The next bytes, as text. */
export function hears(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) reject(new Error('the connection ended without a word'));
    const heard = (piece: Buffer): void => {
      socket.pause();
      socket.off('close', gone);
      resolve(piece.toString());
    };
    const gone = (): void => {
      socket.off('data', heard);
      reject(new Error('the connection ended without a word'));
    };
    socket.once('data', heard);
    socket.once('close', gone);
    socket.resume();
  });
}

/** Sends and hears it back. */
export async function says(socket: net.Socket, words: string): Promise<void> {
  socket.write(words);
  let heard = '';
  while (heard.length < words.length) heard += await hears(socket);
  if (heard !== words) throw new Error(`said ${words}, heard ${heard}`);
}
