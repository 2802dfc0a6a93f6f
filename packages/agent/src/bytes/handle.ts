/** Closes a socket that process.send handed over and nobody takes. */
export function closeHandle(handle: object | undefined): void {
  (handle as { close?: () => void } | undefined)?.close?.();
}
