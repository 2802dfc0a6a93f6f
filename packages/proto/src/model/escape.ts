/** Characters that move a cursor, colour a screen or turn the direction of writing: controls, formats, line separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with each such character in the escaped form of JSON, so that it can be shown; line feeds stay. */
export function escapeUnseen(text: string): string {
  return text.replace(UNSEEN, (character) => {
    if (character === '\n') return character;
    const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
}
