/** A YAML file as a plain value that remembers where each piece of it stands. */
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { aliasProblems } from './aliases.ts';
import { FileError, type FileProblem } from './errors.ts';
import { ReadError, readBounded } from './read-bounded.ts';

export type Path = readonly (string | number)[];

/** Larger files are not read: thousands of services fit in far less. */
const MAX_FILE_BYTES = 8 << 20;
/** Nested aliases multiply; a mesh has no need for many (YAML calls the attack a billion laughs). */
const MAX_ALIASES = 100;

export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /** Where the value at the path stands, or the nearest enclosing one that exists. */
  locate(path: Path): { line: number; column: number };
  /** Where a key of the map at the path stands. */
  locateKey(path: Path, key: string): { line: number; column: number };
}

/** Reads and parses a file, or for `-` what comes on stdin. Throws FileError. */
export async function readYamlFile(file: string): Promise<YamlFile> {
  let text: string;
  try {
    const bytes = file === '-' ? await bytesOfStdin() : await readBounded(file, MAX_FILE_BYTES);
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FileError('file-unreadable', file, [{ line: 0, column: 0, message: unreadable(cause) }], { cause });
  }
  return parseYaml(file, text);
}

async function bytesOfStdin(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_FILE_BYTES) throw new ReadError(`is longer than ${MAX_FILE_BYTES} bytes; no more are read`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}

function unreadable(cause: unknown): string {
  if (cause instanceof ReadError) return cause.message;
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
      return 'may not be read by this user';
    case 'EISDIR':
      return 'is a directory, expected a YAML file';
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'is not UTF-8 text';
    default:
      return `cannot be read: ${(cause as Error).message}`;
  }
}

/** Parses YAML 1.2. Throws FileError with everything that is wrong with the text as YAML. */
export function parseYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    stringKeys: true,
    uniqueKeys: true,
    // Of YAML 1.1, and in no later one; people write it all the same.
    merge: true,
    version: '1.2',
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problems: FileProblem[] = [...document.errors, ...document.warnings].map((error) => ({
    ...at(error.pos[0]),
    message: yamlMessage(error.code, error.message),
  }));
  problems.push(...aliasProblems(document).map(({ offset, message }) => ({ ...at(offset), message })));
  const declared = document.directives.yaml;
  if (declared.explicit === true && declared.version !== '1.2') {
    problems.push({ line: 1, column: 1, message: `found YAML ${declared.version}, expected YAML 1.2` });
  }
  visit(document, {
    Pair(_, pair) {
      // Legal YAML, but as a JavaScript key it would vanish without a word.
      if (keyText(pair.key) === '__proto__' && isNode(pair.key)) {
        problems.push({ ...at(startOf(pair.key)), message: 'unknown key "__proto__"' });
      }
    },
  });
  if (problems.length > 0) throw new FileError('file-invalid', file, problems);

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    const message = `aliases stand for too much: at most ${MAX_ALIASES} nodes may come from aliases`;
    throw new FileError('file-invalid', file, [{ line: 1, column: 1, message }], { cause });
  }
  return {
    file,
    value,
    locate: (path) => at(startOf(walk(document, path))),
    locateKey: (path, key) => {
      const parent = walk(document, path);
      const pair = isMap(parent) ? parent.items.find((item) => keyText(item.key) === key) : undefined;
      return at(startOf(isNode(pair?.key) ? pair.key : parent));
    },
  };
}

/** Codes of the yaml library that its own message explains badly. */
function yamlMessage(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key stands twice in one map; each may stand once';
    case 'MULTIPLE_DOCS':
      return 'a second document begins here; a file holds one';
    case 'TAG_RESOLVE_FAILED':
      return `found a tag, expected plain YAML: ${message}`;
    case 'TAB_AS_INDENT':
      return 'found a tab; YAML is indented by spaces alone';
    default:
      return `not valid YAML: ${message}`;
  }
}

/** The deepest node on the way along the path. */
function walk(document: Document, path: Path): Node | null {
  let node: Node | null = document.contents;
  for (let at = 0; at < path.length; ) {
    const step = path[at] ?? '';
    let next: unknown;
    let steps = 1;
    if (isMap(node)) ({ value: next, steps } = entryAt(node, path.slice(at)));
    else if (isSeq(node) && typeof step === 'number') next = node.items[step];
    else if (isSeq(node)) next = node.items.find((item) => isMap(item) && item.get('name') === step);
    if (!isNode(next) || next.range == null) return node;
    node = next;
    at += steps;
  }
  return node;
}

/** A wrong name may hold dots, and then stands in the path as several steps: `services.a.b`. */
function entryAt(map: YAMLMap, path: Path): { value: unknown; steps: number } {
  for (let steps = 1; steps <= path.length; steps += 1) {
    const key = path.slice(0, steps).join('.');
    const pair = map.items.find((item) => keyText(item.key) === key);
    if (pair !== undefined) return { value: pair.value, steps };
  }
  return { value: undefined, steps: 1 };
}

function keyText(key: unknown): string | undefined {
  return isScalar(key) ? String(key.value) : undefined;
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}
