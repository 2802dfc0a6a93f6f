/** Where the two programs keep their state unless told otherwise. The operator's commands look for control's token there. */
import { join } from 'node:path';

export interface StateSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** -1 where the system has none. */
  readonly uid: number;
  readonly home: string;
}

/** /var/lib/weft for root, else $XDG_STATE_HOME/weft, else ~/.local/state/weft; the same with weft-control. */
export function stateDirectory(program: 'weft' | 'weft-control', { env, uid, home }: StateSources): string {
  if (uid === 0) return join('/var/lib', program);
  const state = env.XDG_STATE_HOME;
  // The XDG specification says that a relative path there is to be ignored.
  return join(state?.startsWith('/') === true ? state : join(home, '.local', 'state'), program);
}
