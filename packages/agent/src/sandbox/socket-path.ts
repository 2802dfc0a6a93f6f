/** Where sandboxes find the agent of their host. */
import { join } from 'node:path';

/** Of the agent that the package's unit starts. */
export const SYSTEM_RUN_SOCKET = '/run/weft/run.sock';

/**
 * Of an agent: what it is told, else in the directory that systemd makes for it, else beside its state. The last is for its own
 * user and root alone, for nobody else may look into that directory.
 */
export function runSocketOf(
  directory: string,
  told: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (told !== undefined) return told;
  const [made] = (env.RUNTIME_DIRECTORY ?? '').split(':');
  return join(made === undefined || made === '' ? directory : made, 'run.sock');
}
