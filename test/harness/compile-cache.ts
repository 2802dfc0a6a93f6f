/**
 * Before the first test: what Node.js compiles is kept from one process to the next while the tests run. Each worker and each thread of
 * one loads the same sources, and without this takes the types out of all of them again, which is a third of what many tests cost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function keepCompiled(): (() => void) | undefined {
  // Each project asks for it; and who runs the tests may have one.
  if (process.env.NODE_COMPILE_CACHE !== undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), 'weft-compiled-'));
  process.env.NODE_COMPILE_CACHE = dir;
  // A program that still ends writes there after the last test, so what is left goes as the run itself ends.
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  return remove;
}
