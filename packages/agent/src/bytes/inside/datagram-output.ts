/** Sends on a UDP socket straight on its handle: `dgram.send` keeps a request, a callback and a tick for each datagram. */
import type dgram from 'node:dgram';
import type { DatagramDropped, DatagramOutput } from '../datagram-output.ts';
import { batchOutput, type SingleOutput } from './batch-output.ts';
import { isInsideKnown, manyDatagrams, shownDescriptor, systemError } from './known.ts';

/** What node:dgram sends by, a UDPWrap. */
export interface DatagramHandle {
  /** The socket's number; negative once it is closed. */
  readonly fd?: unknown;
  /** The datagram's length and one when the kernel took it, zero when it waits, and the request with it, or a negated errno. */
  send(request: SendRequest, list: readonly Buffer[], count: 1, hasCallback: false): number;
  send(
    request: SendRequest,
    list: readonly Buffer[],
    count: 1,
    port: number,
    address: string,
    hasCallback: false,
  ): number;
  lookup: unknown;
}

/** A SendWrap. */
interface SendRequest {
  /** Keeps the memory that waits alive. */
  list: readonly Buffer[] | undefined;
}

type SendRequestConstructor = new () => SendRequest;

/** The sending half of a bound UDP socket, straight on its handle. */
export function datagramHandleOutput(
  socket: dgram.Socket,
  limit: number,
  dropped: DatagramDropped,
): DatagramOutput | undefined {
  const handle = isInsideKnown() ? datagramHandleOf(socket) : undefined;
  if (handle === undefined) return undefined;
  const requestClass = findSendWrap(socket, handle);
  if (requestClass === undefined) return undefined;
  const single = new DatagramHandleOutput(socket, handle, requestClass, limit, dropped);
  const calls = manyDatagrams();
  return (calls && batchOutput(socket, calls, handle, single, dropped)) ?? single;
}

class DatagramHandleOutput implements SingleOutput {
  readonly #socket: dgram.Socket;
  readonly #handle: DatagramHandle;
  readonly #requestClass: SendRequestConstructor;
  readonly #limit: number;
  readonly #dropped: DatagramDropped;
  #request: SendRequest;
  #waiting: boolean = false;

  constructor(
    socket: dgram.Socket,
    handle: DatagramHandle,
    requestClass: SendRequestConstructor,
    limit: number,
    dropped: DatagramDropped,
  ) {
    this.#socket = socket;
    this.#handle = handle;
    this.#requestClass = requestClass;
    this.#limit = limit;
    this.#dropped = dropped;
    this.#request = new requestClass();
  }

  sendConnected(datagram: Buffer): void {
    if (this.#dropsFull()) return;
    // Node points at what waits.
    const list = [Buffer.from(datagram)];
    this.#settle(this.#handle.send(this.#request, list, 1, false), list);
  }

  send(datagram: Buffer, port: number, address: string): void {
    if (this.#dropsFull()) return;
    // Node points at what waits.
    const list = [Buffer.from(datagram)];
    this.#settle(this.#handle.send(this.#request, list, 1, port, address, false), list);
  }

  get waits(): boolean {
    return this.#waiting && this.#socket.getSendQueueSize() > 0;
  }

  /** Whether the datagram was dropped for want of room. */
  #dropsFull(): boolean {
    if (!this.#waiting || this.#socket.getSendQueueSize() <= this.#limit) return false;
    this.#dropped(undefined);
    return true;
  }

  #settle(status: number, list: readonly Buffer[]): void {
    // The kernel took it, so nothing waits.
    if (status > 0) this.#waiting = false;
    else if (status < 0) this.#dropped(systemError(status, 'send'));
    else {
      this.#waiting = true;
      this.#request.list = list;
      this.#request = new this.#requestClass();
    }
  }
}

/** What a UDP socket works by, where it shows it and is what is known here. */
export function datagramHandleOf(socket: dgram.Socket): DatagramHandle | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (symbol === undefined) return undefined;
  try {
    const state = (socket as unknown as Record<symbol, { readonly handle?: unknown } | null>)[symbol];
    const handle = state?.handle;
    return typeof handle === 'object' && handle !== null && isDatagramHandle(handle) ? handle : undefined;
  } catch {
    return undefined;
  }
}

/** As `descriptorOf`, of a UDP socket. */
export function datagramDescriptorOf(socket: dgram.Socket): number | undefined {
  return shownDescriptor(datagramHandleOf(socket));
}

function isDatagramHandle(handle: object): handle is DatagramHandle {
  const { send, lookup } = handle as Partial<DatagramHandle>;
  return typeof send === 'function' && typeof lookup === 'function';
}

/** As with WriteWrap: the socket shows one to a handle whose `send` is ours for the moment. */
function findSendWrap(socket: dgram.Socket, handle: DatagramHandle): SendRequestConstructor | undefined {
  let found: SendRequestConstructor | undefined;
  const spy = (request: object): number => {
    if (request.constructor.name === 'SendWrap') found = request.constructor as SendRequestConstructor;
    return 1;
  };
  const lookup = (address: string, callback: (error: null, address: string) => void) => callback(null, address);
  const undo: (() => void)[] = [];
  try {
    undo.push(replace(handle, 'send', spy), replace(handle, 'lookup', lookup));
    if (isConnected(socket)) socket.send(Buffer.alloc(1));
    else socket.send(Buffer.alloc(1), 9, '127.0.0.1');
    return found;
  } catch {
    return undefined;
  } finally {
    for (const step of undo) step();
  }
}

/** Until it is undone. Throws where it cannot be replaced. */
function replace(handle: DatagramHandle, name: keyof DatagramHandle, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(handle, name);
  Object.defineProperty(handle, name, { value, configurable: true, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(handle, name);
    else Object.defineProperty(handle, name, own);
  };
}

function isConnected(socket: dgram.Socket): boolean {
  try {
    return socket.remoteAddress() !== undefined;
  } catch {
    return false;
  }
}
