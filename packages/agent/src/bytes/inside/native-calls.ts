/**
 * System calls that Node has no API for, where this Node brings node:ffi: many datagrams at once, which sockets have some, connections
 * behind the one that was accepted, and a write that tells how much the kernel took. A thread's own.
 */
import { constants, endianness } from 'node:os';
import { markAsUntransferable } from 'node:worker_threads';
import { messageOf } from '@weft/proto';
import { nodeFfi } from '@weft/proto/house';

/** Kept to the thread's end, so that what the kernel is told stays where it is. */
export interface NativeCalls {
  /** sendmmsg(2) of `count` headers: how many went, from the first on, or a negated errno. */
  sendMany(descriptor: number, headers: bigint, count: number): number;
  /** recvmmsg(2) into `count` headers, without waiting: how many came, or a negated errno. */
  receiveMany(descriptor: number, headers: bigint, count: number): number;
  /** send(2) without waiting, of memory that is held during the call: how many bytes went, or a negated errno. */
  send(descriptor: number, piece: Uint8Array): number;
  /** setsockopt(2) as it is, of what lies at `value`. */
  setsockopt(descriptor: number, level: number, option: number, value: bigint, length: number): number;
  /** Where an int of 1 lies: an option that is on. */
  readonly on: bigint;
  /** Where an int of UNSENT_BYTES lies. */
  readonly unsent: bigint;
  /** An epoll(7) in the place of an open file, which is closed thereby: 0, or a negated errno. */
  pollInstead(descriptor: number): number;
  /** Whatever is to be read from a socket, or a failure, rings: 0, or a negated errno. `token` is what tells it, below 2^32. */
  watch(poll: number, descriptor: number, token: number): number;
  /** Undoes `watch`, before the socket is closed: 0, or a negated errno. */
  forget(poll: number, descriptor: number): number;
  /** Whose sockets rang, written into `tokens` from its start, without waiting: how many, or a negated errno. */
  ready(poll: number, tokens: Uint32Array): number;
  /** accept4(2) of one that waits at a listening socket, which must be one that does not block: its number, not blocking, or a negated errno. */
  accept(descriptor: number): number;
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
  setsockopt(descriptor: number, level: number, option: number, value: bigint, length: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(poll: number, operation: number, descriptor: number, event: bigint): number;
  epoll_wait(poll: number, events: bigint, count: number, timeout: number): number;
  dup3(from: number, to: number, flags: number): number;
  close(descriptor: number): number;
  accept4(descriptor: number, address: bigint, length: bigint, flags: number): number;
  __errno_location(): bigint;
}

const DEFINITIONS = {
  sendmmsg: { arguments: ['i32', 'u64', 'u32', 'i32'], return: 'i32' },
  recvmmsg: { arguments: ['i32', 'u64', 'u32', 'i32', 'u64'], return: 'i32' },
  // What it answers is 64 bits wide, and fits into fewer.
  send: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'u64', 'u32'], return: 'i32' },
  epoll_create1: { arguments: ['i32'], return: 'i32' },
  epoll_ctl: { arguments: ['i32', 'i32', 'i32', 'u64'], return: 'i32' },
  epoll_wait: { arguments: ['i32', 'u64', 'i32', 'i32'], return: 'i32' },
  dup3: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  accept4: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' },
};
/** From bits/socket.h. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of accept4: SOCK_NONBLOCK and SOCK_CLOEXEC, the same on x64 and arm64. */
const ACCEPTED = 0o4000 | 0o2000000;
/** From bits/epoll.h. */
const EPOLLIN = 0x1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const O_CLOEXEC = 0o2000000;
/** struct epoll_event, which is packed on x64 alone; told by one `ready` at most so many. */
const EVENT = process.arch === 'x64' ? { bytes: 12, token: 4 } : { bytes: 16, token: 8 };
const EVENTS = 64;
/** Of a connection whose far end is slow, at least what its next turn of the loop may send. */
const UNSENT_BYTES = 128 * 1024;
/** Of one `send`. */
const LONGEST = 0x7fff_0000;
/** Node's number for an error that the system did not name. */
export const UNKNOWN = -4094;

/**
 * Datagrams of this thread that went or came beside others in one call, and those that came joined to others in one message; and messages
 * of which nothing was handed on, for it could not be told where each datagram ends.
 */
export const batched = { sent: 0, received: 0, joined: 0, unparted: 0 };

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
  const { sendmmsg, recvmmsg, send, setsockopt, epoll_create1, epoll_ctl, epoll_wait, dup3, close, accept4 } =
    library.functions;
  // A thread's own, and always there.
  const errno = library.functions.__errno_location();
  const onBehind = EVENTS * EVENT.bytes;
  const scratch = new ArrayBuffer(onBehind + 8);
  markAsUntransferable(scratch);
  const scratchAt = ffi.getRawPointer(scratch);
  const words = new DataView(scratch);
  words.setInt32(onBehind, 1, true);
  words.setInt32(onBehind + 4, UNSENT_BYTES, true);
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
    accept: (descriptor) => {
      const accepted = accept4(descriptor, 0n, 0n, ACCEPTED);
      return accepted < 0 ? failure() : accepted;
    },
    setsockopt,
    on: scratchAt + BigInt(onBehind),
    unsent: scratchAt + BigInt(onBehind + 4),
    pollInstead: (descriptor) => {
      const poll = epoll_create1(O_CLOEXEC);
      if (poll < 0) return failure();
      const answer = dup3(poll, descriptor, O_CLOEXEC) < 0 ? failure() : 0;
      close(poll);
      return answer;
    },
    watch: (poll, descriptor, token) => {
      words.setUint32(0, EPOLLIN, true);
      words.setUint32(EVENT.token, token, true);
      words.setUint32(EVENT.token + 4, 0, true);
      return epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, scratchAt) < 0 ? failure() : 0;
    },
    forget: (poll, descriptor) => (epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, scratchAt) < 0 ? failure() : 0),
    ready: (poll, tokens) => {
      const count = epoll_wait(poll, scratchAt, Math.min(EVENTS, tokens.length), 0);
      for (let event = 0; event < count; event++) {
        tokens[event] = words.getUint32(event * EVENT.bytes + EVENT.token, true);
      }
      return count < 0 ? failure() : count;
    },
    addressOf: (memory) => ffi.getRawPointer(memory),
    library,
  };
  const { EBADF, EINVAL } = constants.errno;
  const known =
    calls.receiveMany(-1, 0n, 0) === -EBADF &&
    calls.sendMany(-1, 0n, 0) === -EBADF &&
    calls.send(-1, Buffer.alloc(1)) === -EBADF &&
    calls.accept(-1) === -EBADF &&
    setsockopt(-1, 0, 0, calls.on, 4) < 0 &&
    failure() === -EBADF &&
    // These two open no file, of which there may be none left just now: an unknown flag, and a number that no file can have.
    epoll_create1(-1) < 0 &&
    failure() === -EINVAL &&
    dup3(-1, -2, O_CLOEXEC) < 0 &&
    failure() === -EBADF &&
    calls.watch(-1, -1, 0) === -EBADF &&
    calls.forget(-1, -1) === -EBADF &&
    calls.ready(-1, new Uint32Array(1)) === -EBADF;
  return known ? calls : 'calls by node:ffi fail otherwise than is known';
}
