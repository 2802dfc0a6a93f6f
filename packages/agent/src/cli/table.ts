/** Aligned tables for people, as wide as their terminal; programs take `--json`. */
import { fit, shorten } from './fit.ts';
import { type Color, paint, printable, type Terminal } from './terminal.ts';

/** A cell: text, or text in a colour. */
export type Cell = string | { readonly text: string; readonly color: Color };

/** A title alone is a column that is always shown whole. */
export type Column = string | { readonly title: string; readonly short?: true; readonly drop?: number };

/** A column whose long cells lose their middle where there is no room; with `drop`, all of it goes, the lowest first. */
export function short(title: string, drop?: number): Column {
  return { title, short: true, ...(drop !== undefined && { drop }) };
}

/** A column that is whole or not there. */
export function drop(title: string, order: number): Column {
  return { title, drop: order };
}

export interface TableOptions {
  /** All of it, however wide the terminal is. */
  readonly wide?: true;
}

/** Writes a head and rows in columns two spaces apart; the last column is not padded. */
export function writeTable(
  terminal: Terminal,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { wide }: TableOptions = {},
): void {
  const titled = columns.map((column) => (typeof column === 'string' ? { title: column } : column));
  const texts = rows.map((row) => row.map((cell) => printable(typeof cell === 'string' ? cell : cell.text)));
  const natural = titled.map(({ title }, column) =>
    Math.max(title.length, ...texts.map((row) => lengthOf(row[column] ?? ''))),
  );
  const room = wide ? undefined : terminal.columns;
  const widths = room === undefined ? natural : fit(titled, natural, room);
  const last = widths.findLastIndex((width) => width > 0);
  const line = (cells: readonly string[]) => terminal.out(`${cells.join('').trimEnd()}\n`);
  const cell = (text: string, column: number, color?: Color): string => {
    const width = widths[column] ?? 0;
    if (width === 0) return '';
    const shown = shorten(text, width);
    const pad = column === last ? '' : ' '.repeat(width - lengthOf(shown) + 2);
    return (color === undefined ? shown : paint(terminal, color, shown)) + pad;
  };

  line(titled.map(({ title }, column) => cell(title, column, 'dim')));
  rows.forEach((row, index) => {
    line(
      row.map((one, column) =>
        cell(texts[index]?.[column] ?? '', column, typeof one === 'string' ? undefined : one.color),
      ),
    );
  });
  const left = titled.filter((_, column) => widths[column] === 0).map(({ title }) => title);
  if (rows.length > 0 && left.length > 0)
    terminal.err(`left out for want of room: ${left.join(', ')}; --wide shows all\n`);
}

function lengthOf(text: string): number {
  return [...text].length;
}
