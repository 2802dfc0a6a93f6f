/** What is wrong with one field, said so that it can be mended. */

import { escapeUnseen } from './escape.ts';

export interface FieldProblem {
  /** Path in the mesh file's words, such as services.redis.ports[0]. */
  readonly field: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

export function problem(field: string, message: string): FieldProblem {
  return { field, message };
}

/** A text from a file or a peer as it can stand in a message: escaped, and cut where it is long. */
export function quote(text: string): string {
  return escapeUnseen(JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text));
}
