/** How wide each column of a table may be, so that all of it has room in a line. */

/** What a shortened column keeps at least. */
const LEAST = 10;
const BETWEEN = 2;

interface Fitted {
  readonly title: string;
  /** Long cells may lose their middle. */
  readonly short?: true;
  /** It may go; the lowest goes first. */
  readonly drop?: number;
}

/** Widths for `room` characters, 0 for a column that is left out. What may neither go nor be shortened runs over. */
export function fit(columns: readonly Fitted[], natural: readonly number[], room: number): readonly number[] {
  const widths = [...natural];
  const shown = () => widths.filter((width) => width > 0).length;
  const total = (of: readonly number[]) => of.reduce((sum, width) => sum + width, BETWEEN * (shown() - 1));
  const least = () =>
    widths.map((width, index) => {
      const { short, title } = columns[index] ?? { title: '' };
      return short ? Math.min(width, Math.max(LEAST, title.length)) : width;
    });
  const going = columns
    .map(({ drop }, index) => ({ drop, index }))
    .filter((one) => one.drop !== undefined)
    .sort((left, right) => (left.drop ?? 0) - (right.drop ?? 0));
  for (const { index } of going) {
    if (total(least()) <= room) break;
    widths[index] = 0;
  }
  // The widest gives first, so that what is short anyway stays whole.
  const floor = least();
  for (let over = total(widths) - room; over > 0; over--) {
    const give = widths.map((width, index) => (width > (floor[index] ?? width) ? width : 0));
    const most = Math.max(...give);
    if (most === 0) break;
    const index = give.indexOf(most);
    widths[index] = most - 1;
  }
  return widths;
}

/** Its two ends: names of a kind differ at either. */
export function shorten(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  const head = Math.ceil((width - 1) / 2);
  const tail = width - 1 - head;
  return `${characters.slice(0, head).join('')}…${tail === 0 ? '' : characters.slice(-tail).join('')}`;
}
