/** Markdown as plain text for a terminal: no line is wider than 80 characters but for code and for words that are. */
import { lexer, type Token, type Tokens } from 'marked';

const COLUMNS = 80;
const BETWEEN = '  ';
/** Narrower than this, a column of words is no use to anybody. */
const LEAST = 12;

export function toText(markdown: string): string {
  return `${blocks(lexer(markdown), COLUMNS)}\n`;
}

function blocks(tokens: readonly Token[], width: number): string {
  return tokens
    .filter(({ type }) => type !== 'space')
    .map((token) => block(token, width))
    .join('\n\n');
}

function block(token: Token, width: number): string {
  switch (token.type) {
    case 'heading':
      return wrap(words(token.tokens).toUpperCase(), width).join('\n');
    case 'paragraph':
    case 'text':
      return wrap(words([token]), width).join('\n');
    case 'code':
      return indent((token as Tokens.Code).text.split('\n'), '    ').join('\n');
    case 'list':
      return (token as Tokens.List).items
        .map(
          ({ tokens }) =>
            `- ${indent(blocks(tokens, width - 2).split('\n'), '  ')
              .join('\n')
              .trimStart()}`,
        )
        .join('\n');
    case 'table':
      return table(token as Tokens.Table, width).join('\n');
    default:
      throw new Error(`no text is made of ${token.type}: ${token.raw.slice(0, 60)}`);
  }
}

/** As the document has them: code keeps its backticks, by which one sees where it ends, and a link is its words. */
function words(tokens: readonly Token[] | undefined): string {
  return (tokens ?? [])
    .map((token) => {
      if (token.type === 'codespan') return token.raw;
      if ('tokens' in token && token.tokens !== undefined) return words(token.tokens);
      if (token.type === 'text' || token.type === 'escape') return unescaped(token.text);
      throw new Error(`no words are made of ${token.type}: ${token.raw.slice(0, 60)}`);
    })
    .join('');
}

/** marked gives text as HTML has it. */
function unescaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name] ?? '');
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function indent(lines: readonly string[], by: string): readonly string[] {
  return lines.map((line) => (line === '' ? '' : by + line));
}

/** A row of more lines than this is read faster as a heading with its words under it. */
const TALLEST = 3;

/** Columns beside each other where words have room there; else each row is its first cells, and the last under them. */
function table({ header, rows }: Tokens.Table, width: number): readonly string[] {
  const cells = [header, ...rows].map((row) => row.map((cell) => words(cell.tokens)));
  const widths = share(cells, width);
  const lines = widths && cells.map((row) => beside(row, widths));
  const tallest = Math.max(...(lines ?? []).map((row) => row.length));
  if (lines === undefined || tallest > TALLEST) return cells.slice(1).flatMap((row) => listed(row, width));
  // Rows of more than a line are told apart by a line between.
  return lines.flatMap((row, index) => (tallest > 1 && index > 0 ? ['', ...row] : row));
}

function listed(row: readonly string[], width: number): readonly string[] {
  const heads = row.slice(0, -1).filter(Boolean);
  const [head = '', ...more] = heads;
  const together = heads.join(BETWEEN);
  const first = together.length <= width ? [together] : [...wrap(head, width), ...under(more.join(BETWEEN), width)];
  return [...first, ...under(row.at(-1) ?? '', width)];
}

function under(text: string, width: number): readonly string[] {
  return text === '' ? [] : indent(wrap(text, width - 4), '    ');
}

function beside(row: readonly string[], widths: readonly number[]): readonly string[] {
  const wrapped = row.map((cell, column) => wrap(cell, widths[column] ?? LEAST));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, index) =>
    wrapped
      .map((lines, column) => (lines[index] ?? '').padEnd(widths[column] ?? 0))
      .join(BETWEEN)
      .trimEnd(),
  );
}

/** Widths of the columns; undefined where their longest words do not stand beside each other. The widest gives first. */
function share(cells: readonly (readonly string[])[], width: number): readonly number[] | undefined {
  const columns = cells[0]?.map((_, column) => cells.map((row) => row[column] ?? '')) ?? [];
  const widths = columns.map((column) => Math.max(...column.map((cell) => cell.length)));
  const least = columns.map((column, index) => {
    const longest = Math.max(...column.flatMap((cell) => cell.split(/\s+/)).map((word) => word.length));
    return Math.min(widths[index] ?? 0, Math.max(LEAST, longest));
  });
  const room = width - BETWEEN.length * (columns.length - 1);
  const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);
  if (sum(least) > room) return undefined;
  for (let over = sum(widths) - room; over > 0; over--) {
    const give = widths.map((each, index) => (each > (least[index] ?? 0) ? each : 0));
    const most = Math.max(...give);
    widths[give.indexOf(most)] = most - 1;
  }
  return widths;
}
