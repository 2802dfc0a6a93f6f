/** What node:net makes connections of, looked for once a thread: by shape, and not by version. */
import net from 'node:net';
import { messageOf } from '@weft/proto';

/** A TCPWrap, a connection. Calls that answer a number answer zero or a negated errno. */
export interface TcpHandle {
  /** Its number; negative before it has one, and once it is closed. */
  readonly fd: number;
  /** Bytes that wait. */
  readonly writeQueueSize: number;
  /** Called after each read, whose length is in the thread's state; answers nothing, or the memory of the next is what it answers. */
  onread: (this: TcpHandle) => undefined;
  /** Reads go there from then on. It keeps no reference. */
  useUserBuffer(memory: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  /** What the kernel does not take at once waits, and with it the request: up to Node 24 the one that was given, from Node 26 on one that is answered. */
  writeBuffer(request: WriteRequest | null, piece: Buffer): number | WriteRequest;
  writev(request: WriteRequest | null, pieces: readonly Buffer[], allBuffers: true): number | WriteRequest;
  /** Half-close. Answers one where it is done. */
  shutdown(request: ShutdownRequest): number;
  /** Both call back in a later turn, when it is closed; a reset that is refused closes nothing, and no later close does either. */
  close(closed: (this: TcpHandle) => void): void;
  reset(closed: (this: TcpHandle) => void): number;
  setNoDelay(on: boolean): number;
  /** Takes a socket by its number, which is the handle's from then on; where it is refused, it stays the caller's. */
  open(descriptor: number): number;
  getsockname(place: Partial<TcpPlace>): number;
  getpeername(place: Partial<TcpPlace>): number;
  /** An address that is taken is told by `connect`. */
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: 0): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
}

export interface TcpPlace {
  address: string;
  port: number;
}

/** A WriteWrap. One that waited is not used again. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Node 26: how it ended, when it did before `oncomplete` was set. */
  writeStatus?: number | null;
}

/** A ShutdownWrap. */
export interface ShutdownRequest {
  oncomplete: (this: ShutdownRequest, status: number, handle: TcpHandle) => void;
}

/** A TCPConnectWrap. */
export interface ConnectRequest {
  oncomplete: (this: ConnectRequest, status: number) => void;
}

const METHODS = [
  ...(['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'writev', 'shutdown', 'close', 'reset'] as const),
  ...(['open', 'setNoDelay', 'getsockname', 'getpeername', 'bind', 'bind6', 'connect', 'connect6'] as const),
];

export interface TcpInside {
  /** SOCKET, of its two types: no server. */
  readonly TCP: new (
    type: 0,
  ) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** Null where handles make requests themselves. */
  readonly WriteWrap: (new () => WriteRequest) | null;
  /** Of the last call in this thread, by the places below. */
  readonly state: Int32Array;
  /** The length of a read, or a negated errno. */
  readonly readAt: number;
  /** Whether a write waits. Undefined where handles make requests themselves. */
  readonly waitsAt: number | undefined;
  /** Where handles make requests themselves, and there alone: the negated errno of a write that answered one all the same. */
  readonly failedAt: number | undefined;
}

/** Throws where this Node has it otherwise. */
function find(): TcpInside {
  const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
  if (typeof binding !== 'function') throw new Error('there is no process.binding');
  const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap');
  const { ShutdownWrap, WriteWrap, streamBaseState: state, ...at } = binding('stream_wrap');
  const { kReadBytesOrError: readAt, kLastWriteWasAsync: waitsAt, kLastWriteErr: failedAt } = at;
  for (const [name, value] of Object.entries({ TCP, TCPConnectWrap, ShutdownWrap, WriteWrap })) {
    if (typeof value !== 'function') throw otherwise(name);
  }
  if (!(state instanceof Int32Array)) throw otherwise('streamBaseState');
  if (!isIndex(readAt, state)) throw otherwise('kReadBytesOrError');
  if ((constants as { SOCKET?: unknown }).SOCKET !== 0) throw otherwise('SOCKET');
  const classes = { TCP, TCPConnectWrap, ShutdownWrap } as Pick<TcpInside, 'TCP' | 'TCPConnectWrap' | 'ShutdownWrap'>;
  if (!hasShape(classes.TCP)) throw otherwise('TCP');
  const writeRequest = writeRequestOf(WriteWrap as new () => WriteRequest);
  if (writeRequest === undefined) throw otherwise('a write request');
  if (writeRequest !== null) {
    if (!isIndex(waitsAt, state)) throw otherwise('kLastWriteWasAsync');
    return { ...classes, WriteWrap: writeRequest, state, readAt, waitsAt, failedAt: undefined };
  }
  if (!isIndex(failedAt, state)) throw otherwise('kLastWriteErr');
  return { ...classes, WriteWrap: null, state, readAt, waitsAt: undefined, failedAt };
}

function otherwise(name: string): Error {
  return new Error(`${name} of its connections is not as known`);
}

function isIndex(index: unknown, state: Int32Array): index is number {
  return typeof index === 'number' && index >= 0 && index < state.length;
}

function hasShape(TCP: TcpInside['TCP']): boolean {
  const handle = new TCP(0);
  const { fd, writeQueueSize } = handle;
  const whole = METHODS.every((name) => typeof handle[name] === 'function');
  if (typeof handle.close === 'function') handle.close(() => undefined);
  return whole && typeof fd === 'number' && typeof writeQueueSize === 'number' && 'onread' in handle;
}

/** Which requests a socket gives to a handle of our own: a handle that wants one ends the process when there is none. */
function writeRequestOf(WriteWrap: new () => WriteRequest): TcpInside['WriteWrap'] | undefined {
  let given: TcpInside['WriteWrap'] | undefined;
  const handle = {
    writeBuffer(request: object | null): number {
      if (request === null) given = null;
      else if (request instanceof WriteWrap) given = WriteWrap;
      return 0;
    },
    readStart: (): number => 0,
    readStop: (): number => 0,
    close: (): void => undefined,
  };
  const socket = new net.Socket({ handle } as unknown as net.SocketConstructorOpts);
  socket.on('error', () => undefined);
  socket.write(Buffer.alloc(1));
  socket.destroy();
  return given;
}

function look(): TcpInside | string {
  try {
    return find();
  } catch (cause) {
    return messageOf(cause);
  }
}

const looked = look();
/** Undefined where this Node has it otherwise. */
export const found = typeof looked === 'string' ? undefined : looked;
/** Why it is not found; undefined where it is. */
export const missing = typeof looked === 'string' ? looked : undefined;
