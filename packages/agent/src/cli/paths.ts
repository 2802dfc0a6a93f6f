/** Where the two programs keep their state unless told otherwise. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** /var/lib/weft as root, else $XDG_STATE_HOME/weft, else ~/.local/state/weft; the same with weft-control. */
export function defaultDirectory(
  program: 'weft' | 'weft-control',
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (process.getuid?.() === 0) return join('/var/lib', program);
  const state = env.XDG_STATE_HOME;
  // The XDG specification says that a relative path there is to be ignored.
  return join(state?.startsWith('/') === true ? state : join(env.HOME ?? homedir(), '.local', 'state'), program);
}
