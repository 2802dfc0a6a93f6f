/**
 * The messages of sock_diag(7), as numbers stand on a little-endian machine. Bytes in, values out: what an answer says of its own lengths is
 * compared with how long it is before anything of it is believed.
 */
import type { HostPort, Protocol } from '@weft/proto';
import type { FoundSocket, Place } from './socket-tables.ts';

/** What the kernel says of one socket. */
export interface ToldSocket extends Place {
  /** Of the other end: 8 or 32 hexadecimal digits in the network's order. */
  readonly other: string;
  readonly otherPort: number;
  /** As in net/tcp_states.h. */
  readonly state: number;
}

/** Bytes of a question. */
export const QUESTION = 72;

/** struct nlmsghdr (linux/netlink.h), and its types and flags. */
const HEAD = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
/** NLM_F_DUMP_INTR: what was told changed meanwhile, and may lack some. */
const NLM_F_DUMP_INTR = 0x10;
const ENOENT = -2;

/** Behind the head, struct inet_diag_req_v2 and struct inet_diag_msg (linux/inet_diag.h), and the attributes behind that. */
const REQUEST_ID = HEAD + 8;
const MESSAGE = 72;
const INET_DIAG_SKV6ONLY = 11;
const INET_DIAG_CGROUP_ID = 21;
export const AF_INET = 2;
export const AF_INET6 = 10;
const NUMBERS: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17 };
const EVERY_STATE = 0xffff_ffff;
const TCP_SYN_SENT = 2;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
/** Of one that takes calls, or datagrams from anybody: of these TCP_CLOSE, which there means bound and not connected. */
export const TAKING: Readonly<Record<Protocol, number>> = { tcp: TCP_LISTEN, udp: TCP_CLOSE };

/** Asks for the one connection of TCP over IPv4 between the two, its end at the first. */
export function askConnection(into: DataView, sequence: number, client: HostPort, called: HostPort): void {
  write(into, { sequence, flags: NLM_F_REQUEST, family: AF_INET, protocol: 'tcp', states: EVERY_STATE });
  into.setUint16(REQUEST_ID, client.port);
  into.setUint16(REQUEST_ID + 2, called.port);
  into.setUint32(REQUEST_ID + 4, numberOf(client.host));
  into.setUint32(REQUEST_ID + 20, numberOf(called.host));
}

/** Asks for all that listen at a port, or have it for datagrams; 0 for any. `state`: for those in this one alone. */
export function askPort(
  into: DataView,
  sequence: number,
  family: number,
  protocol: Protocol,
  port: number,
  state: number | undefined = protocol === 'tcp' ? TCP_LISTEN : undefined,
): void {
  const states = state === undefined ? EVERY_STATE : 1 << state;
  write(into, { sequence, flags: NLM_F_REQUEST | NLM_F_DUMP, family, protocol, states });
  into.setUint16(REQUEST_ID, port);
}

interface Question {
  readonly sequence: number;
  readonly flags: number;
  readonly family: number;
  readonly protocol: Protocol;
  readonly states: number;
}

function write(into: DataView, { sequence, flags, family, protocol, states }: Question): void {
  for (let at = 0; at < QUESTION; at += 4) into.setUint32(at, 0);
  into.setUint32(0, QUESTION, true);
  into.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  into.setUint16(6, flags, true);
  into.setUint32(8, sequence, true);
  into.setUint8(HEAD, family);
  into.setUint8(HEAD + 1, NUMBERS[protocol]);
  into.setUint32(HEAD + 4, states, true);
  // No interface; INET_DIAG_NOCOOKIE.
  into.setUint32(REQUEST_ID + 40, 0xffff_ffff);
  into.setUint32(REQUEST_ID + 44, 0xffff_ffff);
}

/** `none`: there is no such socket. `unknown`: it is no answer to be relied on. `other`: it answers another question. */
export type Answered = FoundSocket | 'none' | 'unknown' | 'other';

/** What a message of so many bytes answers of the connection between the two. */
export function readConnection(
  from: DataView,
  length: number,
  sequence: number,
  client: HostPort,
  called: HostPort,
): Answered {
  if (!isMessage(from, 0, length)) return 'unknown';
  if (from.getUint32(8, true) !== sequence) return 'other';
  const type = from.getUint16(4, true);
  if (type === NLMSG_ERROR) return isNoSuch(from, length) ? 'none' : 'unknown';
  if (!isSocket(from, 0, length)) return 'unknown';
  // The kernel falls back to who listens at the caller's place: the caller is only who has the very addresses.
  const isIt =
    from.getUint16(HEAD + 4) === client.port &&
    from.getUint16(HEAD + 6) === called.port &&
    isAddress(from, HEAD + 8, client.host) &&
    isAddress(from, HEAD + 24, called.host) &&
    isCalling(from.getUint8(HEAD + 1));
  const socket = socketIn(from, 0);
  // One that waits out its time is nobody's any more.
  return isIt && socket.inode !== '0' ? socket : 'none';
}

/** Adds what a message of so many bytes tells, one part of several, to what was told. Whether there is more to come, or it is not to be relied on. */
export function readPort(
  from: DataView,
  length: number,
  sequence: number,
  protocol: Protocol,
  told: ToldSocket[],
): 'more' | 'done' | 'unknown' {
  for (let at = 0; at < length; ) {
    if (!isMessage(from, at, length)) return 'unknown';
    const type = from.getUint16(at + 4, true);
    const size = from.getUint32(at, true);
    // One of another question's is passed over.
    if (from.getUint32(at + 8, true) === sequence) {
      if ((from.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) return 'unknown';
      // The kernel tells by it alone what failed: in the midst of a list, or that it has nothing to list such sockets by (udp_diag).
      if (type === NLMSG_DONE) return isWhole(from, at, size) ? 'done' : 'unknown';
      if (!isSocket(from, at, length)) return 'unknown';
      const socket = toldIn(from, at, protocol);
      if (socket.socket.inode !== '0' && (socket.state !== TCP_LISTEN || protocol === 'tcp')) told.push(socket);
    }
    at += (size + 3) & ~3;
  }
  return 'more';
}

/** Whether a whole message stands there. */
function isMessage(from: DataView, at: number, length: number): boolean {
  if (length > from.byteLength || at + HEAD > length) return false;
  const size = from.getUint32(at, true);
  return size >= HEAD && at + size <= length;
}

/** Not one that listens there; nor one that is on its way still: what was accepted had come. */
function isCalling(state: number): boolean {
  return state !== TCP_LISTEN && state !== TCP_SYN_SENT;
}

/** Whether the end of a list, of so many bytes, says nothing went wrong, or nothing at all. */
function isWhole(from: DataView, at: number, size: number): boolean {
  return size < HEAD + 4 || from.getInt32(at + HEAD, true) === 0;
}

function isNoSuch(from: DataView, length: number): boolean {
  return HEAD + 4 <= length && from.getUint32(0, true) >= HEAD + 4 && from.getInt32(HEAD, true) === ENOENT;
}

function isSocket(from: DataView, at: number, length: number): boolean {
  if (from.getUint16(at + 4, true) !== SOCK_DIAG_BY_FAMILY) return false;
  const family = from.getUint8(at + HEAD);
  return (
    from.getUint32(at, true) >= HEAD + MESSAGE &&
    at + HEAD + MESSAGE <= length &&
    (family === AF_INET || family === AF_INET6)
  );
}

function socketIn(from: DataView, at: number): FoundSocket {
  const [uid, inode] = [from.getUint32(at + HEAD + 64, true), from.getUint32(at + HEAD + 68, true)];
  const group = attribute(from, at, INET_DIAG_CGROUP_ID, 8);
  const socket = { inode: `${inode}`, uid };
  return group === undefined ? socket : { ...socket, group: `${from.getBigUint64(group, true)}` };
}

function toldIn(from: DataView, at: number, protocol: Protocol): ToldSocket {
  const [family, state] = [from.getUint8(at + HEAD), from.getUint8(at + HEAD + 1)];
  const alone = attribute(from, at, INET_DIAG_SKV6ONLY, 1);
  return {
    address: digits(from, at + HEAD + 8, family),
    port: from.getUint16(at + HEAD + 4),
    other: digits(from, at + HEAD + 24, family),
    otherPort: from.getUint16(at + HEAD + 6),
    state,
    taking: state === TAKING[protocol],
    alone: alone !== undefined && from.getUint8(alone) === 1,
    socket: socketIn(from, at),
  };
}

/** Where the value of an attribute stands that has so many bytes at least: struct nlattr, each at a multiple of 4. */
function attribute(from: DataView, at: number, wanted: number, least: number): number | undefined {
  const end = at + from.getUint32(at, true);
  for (let next = at + HEAD + MESSAGE; next + 4 <= end; ) {
    const size = from.getUint16(next, true);
    if (size < 4 || next + size > end) return undefined;
    if (from.getUint16(next + 2, true) === wanted) return size >= 4 + least ? next + 4 : undefined;
    next += (size + 3) & ~3;
  }
  return undefined;
}

/** Whether an address of IPv4 stands there, itself or as a socket of IPv6 has it. */
function isAddress(from: DataView, at: number, host: string): boolean {
  const number = numberOf(host);
  if (from.getUint8(HEAD) === AF_INET) return from.getUint32(at) === number;
  return (
    from.getUint32(at) === 0 &&
    from.getUint32(at + 4) === 0 &&
    from.getUint32(at + 8) === 0xffff &&
    from.getUint32(at + 12) === number
  );
}

/** 8 or 32 of them, as they stand. */
function digits(from: DataView, at: number, family: number): string {
  let text = '';
  for (let byte = 0; byte < (family === AF_INET ? 4 : 16); byte++)
    text += from
      .getUint8(at + byte)
      .toString(16)
      .padStart(2, '0');
  return text;
}

const DOT = 46;
const ZERO = 48;

/** Of a dotted quad: no part of it is made a string, for each caller is asked about by four. */
function numberOf(host: string): number {
  let number = 0;
  let part = 0;
  for (let at = 0; at < host.length; at++) {
    const code = host.charCodeAt(at);
    if (code === DOT) {
      number = number * 256 + part;
      part = 0;
    } else part = part * 10 + code - ZERO;
  }
  return (number * 256 + part) >>> 0;
}
