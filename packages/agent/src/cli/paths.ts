/** Where the two programs keep their state, as seen from this command's surroundings. */
import { homedir } from 'node:os';
import { stateDirectory } from '@weft/proto';

export function defaultDirectory(
  program: 'weft' | 'weft-control',
  env: Readonly<Record<string, string | undefined>>,
): string {
  return stateDirectory(program, { env, uid: process.getuid?.() ?? -1, home: env.HOME ?? homedir() });
}
