/** The licences of all that is in a package and not ours: made of what the bundles hold, so that none is forgotten. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Part {
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly identifier: string;
  /** As its authors ship it. */
  readonly text: string;
}

const MIT = readFileSync(join(import.meta.dirname, 'licences/MIT'), 'utf8');

/** `modules` are the paths of the programs' modules, `page` the list that the page's build wrote. Throws for a part that has none. */
export function licences(modules: readonly string[], page: string, node: string): string {
  const folders = Map.groupBy(
    modules.filter((path) => path.includes('/node_modules/')),
    packageOf,
  );
  const ofPage = JSON.parse(readFileSync(page, 'utf8')) as readonly Part[];
  const parts = new Map<string, Part>();
  for (const part of [...Array.from(folders, ([folder, of]) => readPart(folder, of)), ...ofPage, readPart(node, [])]) {
    if (part.identifier === '' || part.text === '') throw new Error(`${part.name} ${part.version} has no licence`);
    parts.set(`${part.name} ${part.version}`, part);
  }
  const sorted = Array.from(parts).sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = sorted.map(([name, { identifier, text }]) => `${name} (${identifier})\n\n${text.trim()}\n`);
  return `Weft is made with these; its own licence is in LICENSE.\n\n${texts.join(`\n${'-'.repeat(78)}\n\n`)}`;
}

/** The folder of the package that a module is of: the nearest package.json above it that has a name and a version. */
function packageOf(path: string): string {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && 'version' in JSON.parse(readFileSync(file, 'utf8'))) return folder;
  }
  throw new Error(`${path} is of no package`);
}

function readPart(folder: string, modules: readonly string[]): Part {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
    author?: string | { readonly name: string };
  };
  return {
    name,
    version,
    identifier: license ?? '',
    text: licenceText(folder) || headsOf(modules) || named(license, author),
  };
}

/** A few tell it in their readme alone. */
function licenceText(folder: string): string {
  const read = (name: RegExp) => {
    const file = readdirSync(folder).find((entry) => name.test(entry));
    return file === undefined ? undefined : readFileSync(join(folder, file), 'utf8');
  };
  const own = read(/^(licen[cs]e|copying)/i);
  return own ?? /^#+ licen[cs]e\n+(.+)/ims.exec(read(/^readme/i) ?? '')?.[1] ?? '';
}

/** And some at the head of each module. What these name alone, as Apache's does, is in our own. */
function headsOf(modules: readonly string[]): string {
  const heads = modules.map((path) => /^(?:\/\/.*\n)+|^\/\*[\s\S]*?\*\//.exec(readFileSync(path, 'utf8'))?.[0] ?? '');
  return Array.from(new Set(heads.filter((head) => /copyright/i.test(head))))
    .sort((a, b) => (a < b ? -1 : 1))
    .join('\n');
}

/** And some ship no word of it, but name a licence that is one text, and who holds the right. */
function named(license: string | undefined, author: string | { readonly name: string } | undefined): string {
  const holder = typeof author === 'string' ? author : author?.name;
  return license === 'MIT' && holder !== undefined ? MIT.replace('HOLDER', holder) : '';
}
