/** For tests: what the kernel says of a handle's socket. */
import { constants, readFileSync } from 'node:fs';

/** Whether calls there wait: it has no O_NONBLOCK (proc_pid_fdinfo(5)). */
export function waits(handle: object): boolean {
  const { fd } = handle as { readonly fd: number };
  const [, flags = ''] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) === 0;
}
