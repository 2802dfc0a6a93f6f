/** What the documents show as code, for tests that run it. */
import { read } from './sources.ts';

export interface Block {
  readonly document: string;
  readonly language: string;
  readonly text: string;
}

/** Of what a program reads: commands, files and code. */
export function blocks(document: string): readonly Block[] {
  return Array.from(read(document).matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, language = '', text = '']) => ({
    document,
    language,
    text,
  }));
}

/** The text of the block that begins so. Throws where there is none. */
export function documented(document: string, beginning: string): string {
  const found = blocks(document).find(({ text }) => text.startsWith(beginning));
  if (found === undefined) throw new Error(`${document} has no block that begins with ${beginning}`);
  return found.text;
}
