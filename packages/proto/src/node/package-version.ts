/** Each program says its own version: to who asks it, to the other program, and in its metrics. */
import { readFileSync } from 'node:fs';

/** From package.json, which stands beside the folder of the module, src and dist alike. `module` is its import.meta.url. */
export function packageVersion(module: string): string {
  const text = readFileSync(new URL('../package.json', module), 'utf8');
  const { version } = JSON.parse(text) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}
