/**
 * Keeps calls of this process from waiting at a socket that another one made: libuv sets O_NONBLOCK on what it opens and accepts, and takes what comes over
 * a channel as it is. The flag is of the open file (open(2)): whoever has a copy can clear it again.
 */
export function unblockHandle(handle: object | undefined): void {
  // Of datagrams libuv does so itself.
  (handle as { setBlocking?: (on: boolean) => number } | undefined)?.setBlocking?.(false);
}

/** Closes a socket that process.send handed over and nobody takes. */
export function closeHandle(handle: object | undefined): void {
  (handle as { close?: () => void } | undefined)?.close?.();
}
