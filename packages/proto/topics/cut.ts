/**
 * What `weft help TOPIC` and the manual pages say stands in the documents, once, between two comments that a reader of the page
 * does not see:
 *
 *     <!-- help: exit-codes: what a command says by how it ends -->
 *     …
 *     <!-- /help -->
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Part {
  readonly topic: string;
  /** What it is about, in a line. */
  readonly about: string;
  readonly markdown: string;
}

/** Where they stand, in the order in which they are listed. */
export const DOCUMENTS = ['docs/REFERENCE.md', 'README.md'] as const;

const MARKED = /^<!-- help: ([a-z-]+): (.+?) -->\n(.*?)^<!-- \/help -->$/gms;
const MARK = /^<!-- \/?help\b.*$/gm;

/** Of the repository at `root`. Throws where a mark has no other, or a topic stands twice. */
export function cutTopics(root: string): readonly Part[] {
  const parts = DOCUMENTS.flatMap((path) => cut(path, readFileSync(join(root, path), 'utf8')));
  const twice = parts.find(({ topic }, index) => parts.findIndex((other) => other.topic === topic) < index);
  if (twice !== undefined) throw new Error(`the topic ${twice.topic} stands twice in ${DOCUMENTS.join(' and ')}`);
  return parts;
}

export function cut(path: string, document: string): readonly Part[] {
  const parts = Array.from(document.matchAll(MARKED), ([, topic = '', about = '', markdown = '']) => {
    return { topic, about, markdown: markdown.trim() };
  });
  const marks = document.match(MARK)?.length ?? 0;
  const inside = parts.find(({ markdown }) => markdown.match(MARK) !== null);
  if (marks !== parts.length * 2 || inside !== undefined)
    throw new Error(
      `${path}: each <!-- help: TOPIC: ABOUT --> wants one <!-- /help -->, and nothing of the kind between`,
    );
  return parts;
}
