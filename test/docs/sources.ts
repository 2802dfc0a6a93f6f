/** The programs' own sources, as text: for tests that hold the documents against them. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly package: 'agent' | 'control' | 'proto';
  readonly text: string;
}

export function sources(): readonly Source[] {
  const paths = globSync('packages/{agent,control,proto}/src/**/*.ts', { cwd: ROOT })
    .filter((path) => !/\.(test|fixture|d)\.ts$/.test(path))
    .sort();
  return paths.map((path) => ({
    path,
    package: path.split('/')[1] as Source['package'],
    text: readFileSync(join(ROOT, path), 'utf8'),
  }));
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Rows of the tables under a heading of this depth, each a list of cells; without the tables' heads. */
export function tableRows(markdown: string, heading: string): readonly (readonly string[])[] {
  const start = markdown.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`no heading ${heading}`);
  const depth = heading.indexOf(' ');
  const rest = markdown.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${depth}} `, 'm'));
  const lines = (end < 0 ? rest : rest.slice(0, end)).split('\n');
  return lines.flatMap((line, at) => {
    const head = /^\|[-| :]+\|$/.test(lines[at + 1] ?? '') || /^\|[-| :]+\|$/.test(line);
    // A bar in a cell is written \|.
    return line.startsWith('|') && !head
      ? [
          line
            .slice(1, -1)
            .split(/(?<!\\)\|/)
            .map((cell) => cell.trim()),
        ]
      : [];
  });
}

/** What stands in `code` in a cell. */
export function codes(cell: string | undefined): readonly string[] {
  return Array.from((cell ?? '').matchAll(/`([^`]+)`/g), ([, code = '']) => code);
}
