/** Whether Node's inside is what is known here, and what of it more than one subject needs. */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { NativeCalls } from './native-calls.ts';
import type { NativeCipher } from './native-cipher.ts';

let trusted = true;
let native: NativeCalls | string = 'not looked for';
/** Why datagrams go one by one where there are calls for many. */
let singly = '';
let cipher: NativeCipher | string = 'not looked for';
/** Sockets that receive one by one all the same. */
let unwatched = 0;

/** False once it was found to do something else: sockets that are made from then on do without. */
export function isInsideKnown(): boolean {
  return trusted;
}

/** Of this thread, from now on or until told otherwise. */
export function trustInside(trust: boolean): void {
  trusted = trust;
}

/** Of this thread, where they were found. */
export function nativeCalls(): NativeCalls | undefined {
  return trusted && typeof native !== 'string' ? native : undefined;
}

/** Of this thread, where many datagrams come through by them as one by one. */
export function manyDatagrams(): NativeCalls | undefined {
  return singly === '' ? nativeCalls() : undefined;
}

/** Why datagrams go one by one; empty where they do not. */
export function nativeCause(): string {
  if (typeof native === 'string') return native;
  if (!trusted) return 'this Node is not as it is known';
  if (singly !== '' || unwatched === 0) return singly;
  return `${unwatched} of its UDP sockets, for which no epoll(7) could be had; it is tried again`;
}

/** More sockets of this thread, or fewer, receive one by one though it has calls for many. */
export function countUnwatched(change: 1 | -1): void {
  unwatched += change;
}

/** For sockets that this thread makes from now on; or why there are none. */
export function setNative(found: NativeCalls | string): void {
  native = found;
  singly = '';
}

/** Datagrams of this thread go one by one from now on, and all else by native calls as before. */
export function leaveDatagrams(cause: string): void {
  singly = cause;
}

/** Of this thread, where it was found and seals as node:crypto does, and for as long as it refuses nothing. */
export function nativeCipher(): NativeCipher | undefined {
  return typeof cipher === 'string' || cipher.refused !== '' ? undefined : cipher;
}

/** Why this thread has none; empty where it has one. */
export function nativeCipherCause(): string {
  return typeof cipher === 'string' ? cipher : cipher.refused;
}

/** For tunnels that this thread makes from now on; or why there is none. */
export function setNativeCipher(found: NativeCipher | string): void {
  cipher = found;
}

/** What a socket works by, where it shows it. */
export function handleOf(socket: net.Socket | net.Server): object | undefined {
  try {
    const { _handle: handle } = socket as unknown as { readonly _handle: unknown };
    return typeof handle === 'object' && handle !== null ? handle : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the kernel has a far end for it. True also where Node shows no handle that can ask. */
export function hasPeer(socket: net.Socket): boolean {
  const handle = handleOf(socket) as { readonly getpeername?: unknown } | undefined;
  if (typeof handle?.getpeername !== 'function') return true;
  return (handle as { getpeername(place: object): number }).getpeername({}) === 0;
}

/** The number that the kernel gave it. Undefined where Node does not show it, or the socket is closed. */
export function descriptorOf(socket: net.Socket | net.Server): number | undefined {
  return shownDescriptor(handleOf(socket));
}

export function shownDescriptor(handle: { readonly fd?: unknown } | undefined): number | undefined {
  return handle !== undefined && isNumbered(handle) ? handle.fd : undefined;
}

/** From asm-generic/socket.h, the same on x64 and arm64. */
const SOL_SOCKET = 1;
const SO_OOBINLINE = 10;

/**
 * Of a connection, or of all that a listener accepts from now on: a byte that is sent as urgent (MSG_OOB) stays where it was sent, where the kernel
 * would take it out of what is read. Where this thread has no native calls, that byte is lost.
 */
export function keepUrgent(descriptor: number | undefined): void {
  const calls = nativeCalls();
  if (descriptor !== undefined) calls?.setsockopt(descriptor, SOL_SOCKET, SO_OOBINLINE, calls.on, 4);
}

/** From netinet/tcp.h. */
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

/**
 * Of a connection, or of all that a listener accepts from now on: no more than 128 KiB wait in the kernel to be sent, where it would take megabytes before what is
 * small could overtake them. Where this thread has no native calls, they wait there.
 */
export function boundUnsent(descriptor: number | undefined): void {
  const calls = nativeCalls();
  if (descriptor !== undefined) calls?.setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, calls.unsent, 4);
}

/** What has a socket's number: negative once it is closed. */
export interface Numbered {
  readonly fd: number;
}

export function isNumbered(handle: { readonly fd?: unknown }): handle is Numbered {
  return typeof handle.fd === 'number' && handle.fd >= 0;
}

/** As Node's own errors are: `status` is a negated errno. */
export function systemError(status: number, syscall: string): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: status, syscall });
}
