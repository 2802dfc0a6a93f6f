/** What is wrong with one field, said so that it can be mended. */

export interface FieldProblem {
  /** Path in the mesh file's words, such as services.redis.ports[0]. */
  readonly field: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

export function problem(field: string, message: string): FieldProblem {
  return { field, message };
}

/** The problem where there is one: a list, to be put among others. */
export function problemIf(wrong: boolean, field: string, message: string): FieldProblem[] {
  return wrong ? [problem(field, message)] : [];
}

/** What an error is about where these are the first of more: how many there are. */
export function countOf(count: number, fields: readonly FieldProblem[]): ErrorDetails['metadata'] {
  return count > fields.length ? { fields: `${count}` } : {};
}

/** All of them as one text, in their order. `count`: of all there are, where these are the first. */
export function tellProblems(
  problems: readonly FieldProblem[],
  count: number = problems.length,
  between = '; ',
): string {
  const told = problems.map(({ field, message }) => `${field}: ${message}`);
  return [...told, ...(count > told.length ? [`and ${count - told.length} more`] : [])].join(between);
}

/** A text from a file or a peer as it can stand in a message: escaped, and cut where it is long. */
export function quote(text: string): string {
  return escapeUnseen(JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text));
}

/**
 * Characters that move a cursor, colour a screen or turn the direction of writing: controls, formats, line separators. For
 * `replace` and `search` alone, which mind no place that it was left at.
 */
export const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with each such character in the escaped form of JSON, so that it can be shown; line feeds stay. */
export function escapeUnseen(text: string): string {
  return text.replace(UNSEEN, (character) => {
    if (character === '\n') return character;
    const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
}

/** Of google.rpc.ErrorInfo: whose reasons they are. */
export const ERROR_DOMAIN = 'weft';

/** What a call's error tells programs. */
export interface ErrorDetails {
  /** A stable word, such as `TOKEN_EXPIRED`; empty when none was told. */
  readonly reason: string;
  /** What it is about, such as the revision that is there. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What is wrong with which field. */
  readonly fields: readonly FieldProblem[];
  /** Milliseconds after which it may go better, where that is known. */
  readonly retryMs?: number;
}
