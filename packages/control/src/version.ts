/** Control's version, as in its package.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function readVersion(): string {
  const text = readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}
