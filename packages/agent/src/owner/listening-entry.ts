import { extname } from 'node:path';
import type { OwnerRule } from '../words/owner.ts';

/** What the thread runs, beside this file and in its form: source, built, or bundled, where all code of the program is in one folder. */
export const LISTENING_THREAD = new URL(`./listening-thread${extname(import.meta.url)}`, import.meta.url);

/** What it is begun with. */
export interface ListeningThreadData {
  /** Of what begins it. */
  readonly program: string;
  readonly rules: readonly OwnerRule[];
}
