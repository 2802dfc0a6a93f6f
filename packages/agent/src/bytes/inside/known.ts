/** Whether Node's inside is what is known here, and what of it more than one subject needs. */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';

let trusted = true;

/** False once it was found to do something else: sockets that are made from then on do without. */
export function isInsideKnown(): boolean {
  return trusted;
}

/** Of this thread, from now on or until told otherwise. */
export function trustInside(trust: boolean): void {
  trusted = trust;
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

/** As Node's own errors are: `status` is a negated errno. */
export function systemError(status: number, syscall: string): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: status, syscall });
}
