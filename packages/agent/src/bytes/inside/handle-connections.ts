/** Makes connections of handles, accepted and dialled, without the socket that Node makes of each. */
import { closeSync } from 'node:fs';
import type net from 'node:net';
import { constants } from 'node:os';
import type { Connection, Transport } from '../transport.ts';
import { HandleTransport, isTcpHandle, placeOf, tcpInside } from './handle-transport.ts';
import { handleOf, nativeCalls, shownDescriptor, systemError } from './known.ts';
import type { ConnectRequest, TcpHandle, TcpInside } from './tcp-inside.ts';

/** What a listening handle calls; `status` is a negated errno. */
type OnConnection = (this: object, status: number, accepted: object | undefined) => void;

/** Where connections may go instead. */
export interface Elsewhere {
  readonly gate: Gate;
  /** Takes a connection. False where it stays; `back` takes it here after all, once. */
  readonly take: (handle: object, back: () => void) => boolean;
}

/** Nobody is asked while it is not open. */
export interface Gate {
  open: boolean;
}

/**
 * From now on each connection of a listening server is told of so, with `noDelay` set, and the server does not count it. Where it shows no
 * inside as it is known here, it tells of it by 'connection' as ever. Before anything is read of it, it may go `elsewhere`. `handed`: another process
 * made the socket that it listens by, and may have left it one that waits.
 */
export function acceptHandles(
  server: net.Server,
  accepted: (transport: Transport, descriptor: number | undefined) => void,
  elsewhere?: Elsewhere,
  handed: boolean = false,
): void {
  const listening = handleOf(server) as { onconnection?: OnConnection } | undefined;
  if (tcpInside() === undefined || listening === undefined || !isTcpHandle(listening)) return;
  const byNode = onconnectionOf(listening);
  if (byNode === undefined) return;
  (listening as { onconnection?: OnConnection }).onconnection = function (status, handle) {
    const inside = tcpInside();
    if (status !== 0 || inside === undefined || !isTcpHandle(handle)) {
      byNode.call(this, status, handle);
      return;
    }
    take(handle, inside);
    if (!handed) for (const one of behind.accept(inside)) take(one, inside);
  };
  const behind = new Waiting(listening);
  const take = (handle: TcpHandle, inside: TcpInside): void => {
    // The listener's own would come too late to whoever called before it was set.
    handle.setNoDelay(true);
    const here = (): void => accepted(new HandleTransport(handle, inside), handle.fd);
    if (elsewhere?.gate.open !== true || !elsewhere.take(handle, here)) here();
  };
}

/** Connections that one turn of the loop takes at a listener, at most: each costs a tenth of a millisecond before others are served. */
const MOST_ACCEPTED = 16;
/** Turns that pass at most, where one connection comes at a time, before it is looked again whether more do. */
const MOST_LONELY = 16;

/** What waits at a listener behind the connection that libuv accepts, one a turn. */
class Waiting {
  readonly #listening: TcpHandle;
  /** Turns to pass, and how many were passed last. */
  #pass = 0;
  #lonely = 0;

  constructor(listening: TcpHandle) {
    this.#listening = listening;
  }

  /** One after the other, for what is done with one may close the listener, which must be one that does not wait. */
  *accept(inside: TcpInside): Generator<TcpHandle> {
    const native = nativeCalls();
    if (native === undefined) return;
    if (this.#pass > 0) {
      this.#pass -= 1;
      return;
    }
    for (let count = 1; count < MOST_ACCEPTED; count += 1) {
      const listener = shownDescriptor(this.#listening);
      const descriptor = listener === undefined ? -1 : native.accept(listener);
      // Whatever is wrong, libuv meets it as well, and tells.
      if (descriptor < 0) {
        this.#lonely = count > 1 ? 0 : Math.min(2 * this.#lonely + 1, MOST_LONELY);
        this.#pass = this.#lonely;
        return;
      }
      const handle = new inside.TCP(0);
      if (handle.open(descriptor) === 0) yield handle;
      else {
        closeSync(descriptor);
        handle.close(() => undefined);
      }
    }
    this.#lonely = 0;
  }
}

function onconnectionOf(listening: { readonly onconnection?: OnConnection }): OnConnection | undefined {
  try {
    return typeof listening.onconnection === 'function' ? listening.onconnection : undefined;
  } catch {
    return undefined;
  }
}

const ADDRESS_IN_USE = -constants.errno.EADDRINUSE;

export interface Destination {
  readonly host: string;
  readonly port: number;
  /** Address to come from. */
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** Called once, within the call where it fails at once; never behind `abandon`. */
export type Connected = (result: Connection | Error) => void;

/** To a literal address. Answers how to abandon it; undefined where Node's inside is not as known, or would end the process over such a port. */
export function connectHandle(to: Destination, connected: Connected): (() => void) | undefined {
  const inside = tcpInside();
  if (inside === undefined || !isPort(to.port) || !isPort(to.localPort ?? 0)) return undefined;
  const connecting = new Connecting(inside, to, connected);
  connecting.begin();
  return () => connecting.abandon();
}

class Connecting {
  readonly #inside: TcpInside;
  readonly #handle: TcpHandle;
  readonly #request: ConnectRequest;
  readonly #to: Destination;
  readonly #connected: Connected;
  #over: boolean = false;

  constructor(inside: TcpInside, to: Destination, connected: Connected) {
    this.#inside = inside;
    this.#handle = new inside.TCP(0);
    this.#request = new inside.TCPConnectWrap();
    this.#to = to;
    this.#connected = connected;
  }

  begin(): void {
    const { host, port, localAddress, localPort = 0 } = this.#to;
    const handle = this.#handle;
    const six = isIPv6(host);
    if (localAddress !== undefined || localPort !== 0) {
      const from = localAddress ?? anyOf(host);
      const status = six ? handle.bind6(from, localPort, 0) : handle.bind(from, localPort);
      if (status !== 0) {
        this.#fail(placeError(status, 'bind', from, localPort));
        return;
      }
    }
    handle.setNoDelay(true);
    this.#request.oncomplete = (status) => this.#answered(status);
    const status = six ? handle.connect6(this.#request, host, port) : handle.connect(this.#request, host, port);
    if (status === 0) return;
    const from = placeOf(handle, 'getsockname');
    this.#fail(placeError(status, 'connect', host, port, from && `${from.address}:${from.port}`));
  }

  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#handle.close(ignored);
  }

  #answered(status: number): void {
    // As a handle, it is to name nobody behind that.
    this.#request.oncomplete = ignored;
    if (this.#over) return;
    const { host, port, localAddress, localPort = 0 } = this.#to;
    if (status === 0) {
      this.#over = true;
      const handle = this.#handle;
      this.#connected({ transport: new HandleTransport(handle, this.#inside), descriptor: handle.fd });
      // Libuv keeps to itself that a port is taken until here.
    } else if (status === ADDRESS_IN_USE && localPort !== 0) {
      this.#fail(placeError(status, 'bind', localAddress ?? anyOf(host), localPort));
    } else {
      const from = localPort === 0 ? undefined : { localAddress: localAddress ?? anyOf(host), localPort };
      const error = placeError(status, 'connect', host, port, from && `${from.localAddress}:${localPort}`);
      this.#fail(Object.assign(error, from));
    }
  }

  #fail(cause: Error): void {
    this.abandon();
    this.#connected(cause);
  }
}

function ignored(): void {}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 0xffff;
}

/** Of a literal address: Node's own look is a regular expression of 600 characters. */
function isIPv6(host: string): boolean {
  return host.includes(':');
}

/** The address of a socket that may come from every one. */
function anyOf(host: string): string {
  return isIPv6(host) ? '::' : '0.0.0.0';
}

/** As Node's own errors are. */
function placeError(status: number, syscall: string, address: string, port: number, local?: string): Error {
  const error = systemError(status, syscall);
  error.message += port > 0 ? ` ${address}:${port}` : ` ${address}`;
  if (local !== undefined) error.message += ` - Local (${local})`;
  return Object.assign(error, { address }, port > 0 ? { port } : {});
}
