/**
 * System calls that Node has no API for, where this Node brings node:ffi: many datagrams at once, and a write that tells how much the
 * kernel took. A thread's own.
 */
import { constants, endianness } from 'node:os';
import { messageOf } from '@weft/proto';
import { nodeFfi } from './node-ffi.ts';

/** Kept to the thread's end, so that what the kernel is told stays where it is. */
export interface NativeCalls {
  /** sendmmsg(2) of `count` headers: how many went, from the first on, or a negated errno. */
  sendMany(descriptor: number, headers: bigint, count: number): number;
  /** recvmmsg(2) into `count` headers, without waiting: how many came, or a negated errno. */
  receiveMany(descriptor: number, headers: bigint, count: number): number;
  /** send(2) without waiting, of memory that is held during the call: how many bytes went, or a negated errno. */
  send(descriptor: number, piece: Uint8Array): number;
  /** Where memory lies; it may not be resized or handed to another thread. */
  addressOf(memory: ArrayBuffer): bigint;
  /** Held, lest it be closed. */
  readonly library: object;
}

/** What is used of node:ffi, which is experimental. */
interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: Functions };
  getRawPointer(memory: ArrayBuffer | Uint8Array): bigint;
  getInt32(pointer: bigint, offset: number): number;
}

interface Functions {
  sendmmsg(descriptor: number, headers: bigint, count: number, flags: number): number;
  recvmmsg(descriptor: number, headers: bigint, count: number, flags: number, timeout: bigint): number;
  send(descriptor: number, memory: bigint, length: bigint, flags: number): number;
  __errno_location(): bigint;
}

const DEFINITIONS = {
  sendmmsg: { arguments: ['i32', 'u64', 'u32', 'i32'], return: 'i32' },
  recvmmsg: { arguments: ['i32', 'u64', 'u32', 'i32', 'u64'], return: 'i32' },
  // What it answers is 64 bits wide, and fits into fewer.
  send: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' },
};
/** From bits/socket.h. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of one `send`. */
const LONGEST = 0x7fff_0000;
/** Node's number for an error that the system did not name. */
export const UNKNOWN = -4094;

/** Datagrams of this thread that went or came beside others in one call. */
export const batched = { sent: 0, received: 0 };

/** Or why there are none. Each call looks anew. */
export function findNative(): NativeCalls | string {
  // What the headers look like is known of these (native-memory.ts).
  const known = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
  if (!known || endianness() !== 'LE') return `not known on ${process.platform} for ${process.arch}`;
  try {
    const ffi = nodeFfi<Ffi>();
    if (ffi === undefined) return `Node ${process.versions.node} has no node:ffi, or runs with --no-experimental-ffi`;
    return callsOf(ffi);
  } catch (error) {
    // Not permitted, or another libc.
    return `node:ffi cannot be used: ${messageOf(error)}`;
  }
}

function callsOf(ffi: Ffi): NativeCalls | string {
  const library = ffi.dlopen(null, DEFINITIONS);
  const { sendmmsg, recvmmsg, send, __errno_location: place } = library.functions;
  // A thread's own, and always there.
  const errno = place();
  const failure = (): number => {
    const code = ffi.getInt32(errno, 0);
    return code > 0 ? -code : UNKNOWN;
  };
  const calls: NativeCalls = {
    sendMany: (descriptor, headers, count) => {
      const sent = sendmmsg(descriptor, headers, count, MSG_DONTWAIT);
      return sent < 0 ? failure() : sent;
    },
    receiveMany: (descriptor, headers, count) => {
      const received = recvmmsg(descriptor, headers, count, MSG_DONTWAIT, 0n);
      return received < 0 ? failure() : received;
    },
    send: (descriptor, piece) => {
      const sent = send(
        descriptor,
        ffi.getRawPointer(piece),
        BigInt(Math.min(piece.length, LONGEST)),
        MSG_DONTWAIT | MSG_NOSIGNAL,
      );
      return sent < 0 ? failure() : sent;
    },
    addressOf: (memory) => ffi.getRawPointer(memory),
    library,
  };
  const { EBADF } = constants.errno;
  const known =
    calls.receiveMany(-1, 0n, 0) === -EBADF &&
    calls.sendMany(-1, 0n, 0) === -EBADF &&
    calls.send(-1, Buffer.alloc(1)) === -EBADF;
  return known ? calls : 'calls by node:ffi fail otherwise than is known';
}
