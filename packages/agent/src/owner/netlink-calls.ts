/** System calls of a netlink(7) socket, where this Node brings node:ffi: Node has no such sockets. A thread's own. */
import { closeSync, openSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { markAsUntransferable } from 'node:worker_threads';
import { nodeFfi } from '@weft/proto/house';

/** A socket that the kernel answers, and the memory that it is told and answers by. */
export interface Netlink {
  /** What is asked is written here, at its start. */
  readonly asked: DataView;
  /** What was answered last. */
  readonly answer: DataView;
  /** send(2) of so many bytes of `asked`, without waiting: how many went, or a negated errno. */
  send(length: number): number;
  /** recv(2) of one message into `answer`, without waiting: how long it is, also where that is longer than `answer`, or a negated errno. */
  receive(): number;
  close(): void;
  /** Held, lest it be closed. */
  readonly library: object;
}

/** What is used of node:ffi, which is experimental. */
interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: Functions };
  getRawPointer(memory: ArrayBuffer): bigint;
  getInt32(pointer: bigint, offset: number): number;
}

interface Functions {
  socket(family: number, type: number, protocol: number): number;
  dup3(from: number, to: number, flags: number): number;
  close(descriptor: number): number;
  send(descriptor: number, memory: bigint, length: bigint, flags: number): number;
  recv(descriptor: number, memory: bigint, length: bigint, flags: number): number;
  __errno_location(): bigint;
}

const DEFINITIONS = {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  dup3: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  // What these answer is 64 bits wide, and fits into fewer.
  send: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  recv: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' },
};

/** From bits/socket.h and linux/netlink.h. */
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;

const LONGEST_QUESTION = 1_024;
/** As much as the kernel puts into one answer of many parts (NLMSG_GOODSIZE and netlink_dump: 32 KiB at most). */
const LONGEST_ANSWER = 65_536;
/** Node's number for an error that the system did not name. */
const UNKNOWN = -4094;

/** Whether this Node can have one on such a machine. */
export function mayHaveNetlink(): boolean {
  // What the messages look like is known of these.
  const known = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
  if (!known || endianness() !== 'LE') return false;
  try {
    return nodeFfi() !== undefined;
  } catch {
    return false;
  }
}

/** Undefined where there is none to be had, for whatever reason. */
export function openNetlink(protocol: number): Netlink | undefined {
  if (!mayHaveNetlink()) return undefined;
  try {
    const ffi = nodeFfi<Ffi>();
    return ffi && opened(ffi, protocol);
  } catch {
    // Not permitted, another libc, or no file left.
    return undefined;
  }
}

function opened(ffi: Ffi, protocol: number): Netlink | undefined {
  const library = ffi.dlopen(null, DEFINITIONS);
  const { socket, dup3, close, send, recv } = library.functions;
  // A thread's own, and always there.
  const errno = library.functions.__errno_location();
  const failure = (): number => {
    const code = ffi.getInt32(errno, 0);
    return code > 0 ? -code : UNKNOWN;
  };
  const [asked, answer] = [LONGEST_QUESTION, LONGEST_ANSWER].map((length) => {
    const memory = new ArrayBuffer(length);
    // Where it lies is asked once.
    markAsUntransferable(memory);
    return { view: new DataView(memory), at: ffi.getRawPointer(memory) };
  });
  if (asked === undefined || answer === undefined) return undefined;
  if (recv(-1, answer.at, 0n, MSG_DONTWAIT) !== -1 || failure() !== -constants.errno.EBADF) return undefined;
  // In the place of a file that Node opened, which it closes with the thread, however that ends.
  const descriptor = openSync('/dev/null', 'r');
  const made = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  const placed = made >= 0 && dup3(made, descriptor, O_CLOEXEC) === descriptor;
  if (made >= 0) close(made);
  if (!placed) {
    closeSync(descriptor);
    return undefined;
  }
  let isOpen = true;
  return {
    asked: asked.view,
    answer: answer.view,
    send(length) {
      if (!isOpen || length > LONGEST_QUESTION) return -constants.errno.EBADF;
      const sent = send(descriptor, asked.at, BigInt(length), MSG_DONTWAIT);
      return sent < 0 ? failure() : sent;
    },
    receive() {
      if (!isOpen) return -constants.errno.EBADF;
      const received = recv(descriptor, answer.at, BigInt(LONGEST_ANSWER), MSG_DONTWAIT | MSG_TRUNC);
      return received < 0 ? failure() : received;
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      closeSync(descriptor);
    },
    library,
  };
}
