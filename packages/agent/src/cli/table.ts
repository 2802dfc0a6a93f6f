/** Aligned tables for people; programs take `--json`. */
import { type Color, paint, printable, type Terminal } from './terminal.ts';

/** A cell: text, or text in a colour. */
export type Cell = string | { readonly text: string; readonly color: Color };

/** Writes a head and rows in columns two spaces apart; the last column is not padded. */
export function writeTable(terminal: Terminal, head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const texts = rows.map((row) => row.map((cell) => printable(typeof cell === 'string' ? cell : cell.text)));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...texts.map((row) => [...(row[column] ?? '')].length)),
  );
  const pad = (text: string, column: number) =>
    column === head.length - 1 ? '' : ' '.repeat((widths[column] ?? 0) - [...text].length + 2);
  const line = (cells: readonly string[]) => terminal.out(`${cells.join('').trimEnd()}\n`);

  line(head.map((title, column) => paint(terminal, 'dim', title) + pad(title, column)));
  rows.forEach((row, index) => {
    line(
      row.map((cell, column) => {
        const text = texts[index]?.[column] ?? '';
        return (typeof cell === 'string' ? text : paint(terminal, cell.color, text)) + pad(text, column);
      }),
    );
  });
}
