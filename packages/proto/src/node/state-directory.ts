/** Where the two programs keep their state unless told otherwise. The operator's commands look for control's token there. */
import { userInfo } from 'node:os';
import { join } from 'node:path';

export interface StateSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** -1 where the system has none. */
  readonly uid: number;
  /** Undefined for a user who has none, such as a container's that stands in no /etc/passwd. */
  readonly home: string | undefined;
}

/** The home of who runs this; undefined where there is none. */
export function homeOf(
  env: StateSources['env'],
  look: () => { readonly homedir: string } = userInfo,
): string | undefined {
  if (env.HOME?.startsWith('/') === true) return env.HOME;
  try {
    return look().homedir;
  } catch {
    return undefined;
  }
}

/** $XDG_STATE_HOME/weft or ~/.local/state/weft, but /var/lib/weft for root and for who has neither; the same with weft-control. */
export function stateDirectory(program: 'weft' | 'weft-control', { env, uid, home }: StateSources): string {
  if (uid === 0) return join('/var/lib', program);
  const state = env.XDG_STATE_HOME;
  // The XDG specification says that a relative path there is to be ignored.
  if (state?.startsWith('/') === true) return join(state, program);
  return home === undefined ? join('/var/lib', program) : join(home, '.local', 'state', program);
}
