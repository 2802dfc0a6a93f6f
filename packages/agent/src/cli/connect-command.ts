/** weft connect: stdin and stdout to a service, as a program of this host calls it. */
import { connect as connectTcp, type Socket } from 'node:net';
import type { DestinationName } from '@weft/proto';
import { resetSocket } from '../bytes/net-transport.ts';
import { readDestination } from './destination.ts';
import { CommandError, UsageError } from './errors.ts';
import { addressHere, type LocalOptions, localStatus } from './local-services.ts';
import { nameOf, whyRefused } from './refusal.ts';
import { type Bytes, Interrupted, type Terminal } from './terminal.ts';

/** Returns when both halves are done. Throws CommandError, `denied` by name of the rule. */
export async function connect(
  to: string,
  options: LocalOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const called = readDestination('SERVICE:PORT', to);
  if (called.protocol === 'udp') {
    throw new UsageError(
      `connect carries TCP alone, for stdin has no datagrams; weft forward ${nameOf(called)} does UDP`,
    );
  }
  const agent = await localStatus(options, terminal);
  const host = addressHere(agent, called);
  const sinceMs = terminal.now();
  const cause = await carry(connectTcp({ host, port: called.port, allowHalfOpen: true }), terminal.bytes(), signal);
  signal.throwIfAborted();
  if (cause === undefined) return;
  throw (await whyRefused(called, sinceMs, options, terminal)) ?? unknown(called, agent.host, cause);
}

/** The destination has it recorded, or the program there ended it. */
function unknown(called: DestinationName, host: string, cause: Error): CommandError {
  const name = nameOf(called);
  return new CommandError(
    'not-carried',
    `the connection to ${name} was reset; weft explain host:${host} ${name} says whether it may be made, and where it breaks`,
    { cause },
  );
}

/**
 * For what is left of stdin, where a hangup is sent: ssh ends its pipe to a ProxyCommand, and sends one in the same breath. Behind any other signal an end of stdin says
 * nothing, for whoever writes there may have had the signal too.
 */
const LAST_MS = 250;

/** Between an end of stdin and telling it: one signal may end this process and whoever writes there, and on a busy host the end is seen first. */
const END_MS = 50;

/** Both ways, until both halves are done; what ends one ends the other's writing. Answers with what broke it, if anything. */
function carry(socket: Socket, { input, output }: Bytes, signal: AbortSignal): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let broken: Error | undefined;
    // What was to go is not whole, unless all of it went: the service is not to take it for an end, however this process ends.
    let isCut: boolean = false;
    const cut = () => {
      isCut = true;
      if (socket.writableFinished) socket.destroy();
      else resetSocket(socket);
    };
    let ending: NodeJS.Timeout | undefined;
    input.once('end', () => {
      // And once more round the loop: it runs timers before it looks for signals.
      ending = setTimeout(() => setImmediate(() => void (isCut || socket.end())), END_MS);
    });
    process.once('exit', cut);
    const stop = () => {
      if (!(signal.reason instanceof Interrupted && signal.reason.sentHangup)) {
        cut();
        return;
      }
      const late = setTimeout(cut, LAST_MS);
      socket.once('finish', cut).once('close', () => clearTimeout(late));
      if (socket.writableFinished) cut();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    socket.on('error', (error) => {
      broken = error;
    });
    socket.on('end', () => {
      output.end();
      // A person would have to end what nobody reads any more.
      if (input.isTTY === true) socket.end();
    });
    socket.on('close', () => {
      signal.removeEventListener('abort', stop);
      process.off('exit', cut);
      clearTimeout(ending);
      input.unpipe(socket);
      // Else a pipe that its writer keeps open keeps this process.
      input.destroy();
      resolve(broken);
    });
    // Nobody reads what would come, or what was to go is not whole: the service is not to take it for an end.
    output.on('error', () => resetSocket(socket));
    input.on('error', () => resetSocket(socket));
    input.pipe(socket, { end: false });
    socket.pipe(output, { end: false });
  });
}
