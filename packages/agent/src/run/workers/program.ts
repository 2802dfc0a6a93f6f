/** What a thread runs that carries flows. */
import { extname } from 'node:path';
import { changedMs, compiledMs, programOf } from '../../words/program.ts';

const BUNDLED = '../../bundled/entry.mjs';

export interface ThreadProgram {
  readonly entry: URL;
  /** As `programOf` answers there. */
  readonly id: string;
  /** Why it is not in a few files, where it should be; empty where it is, or should not. */
  readonly unbundled: string;
}

/** @param here a file of this folder, in the form that it has: source, built (.js), or bundled with all of its program (.mjs). */
export function threadProgram(here: string): ThreadProgram {
  const form = extname(here);
  const entry = new URL(`./entry${form}`, here);
  const words = new URL(`../../words/program${form}`, here).href;
  const beside = { entry, id: programOf(words) };
  if (form !== '.js') return { ...beside, unbundled: '' };
  const bundled = new URL(BUNDLED, here);
  const made = changedMs(bundled);
  const old = compiledMs(words).some((ms) => ms > made);
  if (made > 0 && !old) return { entry: bundled, id: programOf(bundled.href), unbundled: '' };
  const unbundled = `${bundled.pathname} is ${made > 0 ? 'older than what is compiled' : 'missing'}; run npm run build`;
  return { ...beside, unbundled };
}
