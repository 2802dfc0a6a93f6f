/** Where the two programs keep their state, as seen from this command's surroundings. */
import { homeOf, stateDirectory } from '@weft/proto';

export function defaultDirectory(
  program: 'weft' | 'weft-control',
  env: Readonly<Record<string, string | undefined>>,
): string {
  return stateDirectory(program, { env, uid: process.getuid?.() ?? -1, home: homeOf(env) });
}
