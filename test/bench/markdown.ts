/** Tables in Markdown, and figures as people read them. */

export const NONE = '–';

/** Three digits that count, and no more than three decimals. */
export function figure(value: number | undefined): string {
  if (value === undefined) return NONE;
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

export const times = (ratio: number | undefined): string => (ratio === undefined ? NONE : `${ratio.toFixed(2)}x`);

/** A table in Markdown, its columns of equal width: the first to the left, as the last one is where it holds words, the others to the right. */
export function table(
  [header = [], ...rows]: readonly (readonly string[])[],
  last: 'words' | 'figures' = 'words',
): readonly string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)));
  const toLeft = (column: number): boolean => column === 0 || (last === 'words' && column === header.length - 1);
  const line = (row: readonly string[]): string => {
    const cells = widths.map((width, column) => {
      const cell = (row[column] ?? '').replaceAll('|', '/');
      return toLeft(column) ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${cells.join(' | ')} |`;
  };
  const rule = widths.map((width, column) => (toLeft(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)];
}
