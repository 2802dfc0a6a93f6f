/** A service may have a thousand ports. */
export function shortList(words: readonly string[]): string {
  if (words.length === 0) return '–';
  return words.length <= 4 ? words.join(', ') : `${words.slice(0, 3).join(', ')} and ${words.length - 3} more`;
}
