/** Modules as a few files that hold all they load, packages too, so that nothing looks through node_modules at a start. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

export interface BundleOptions {
  /** The root of a built checkout. */
  readonly root: string;
  /** Paths below it, by the names that the files get. */
  readonly entries: Readonly<Record<string, string>>;
  /** The folder that is written to. */
  readonly to: string;
  /** Whether what entries share is named by what it holds, so that none finds that of another build. */
  readonly hashed?: boolean;
}

/** Writes TO/NAME.mjs for each entry. What is loaded on demand has a file of its own beside these. Answers the paths of all modules that are in them. */
export async function bundle({ root, entries, to, hashed = false }: BundleOptions): Promise<readonly string[]> {
  const modules: string[] = [];
  const made = await rolldown({
    cwd: root,
    input: entries,
    platform: 'node',
    // CommonJS has it, and finds its data by it: as many folders below lib/control as below its own package.
    transform: { define: { __dirname: 'import.meta.dirname' } },
    onLog: (level, log) => {
      if (level !== 'info' && level !== 'debug') throw new Error(log.message);
    },
  });
  const { output } = await made.generate({
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: hashed ? '[name]-[hash].mjs' : '[name].mjs',
    comments: { legal: false, annotation: false, jsdoc: false },
    // Names stay: of what nobody foresaw, the stack is all that a report can tell.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
  });
  mkdirSync(to, { recursive: true });
  for (const file of output) {
    if (file.type !== 'chunk') throw new Error(`${file.fileName} is no code`);
    modules.push(...file.moduleIds);
    writeFileSync(join(to, file.fileName), inLatin(inOrder(file.code)));
  }
  await made.close();
  return modules;
}

/** The bundler names Node's own modules in the order in which its threads met them. */
function inOrder(code: string): string {
  const [imports = ''] = /^(?:import[^;]*;)+/.exec(code) ?? [];
  const each = imports.match(/import[^;]*;/g) ?? [];
  const { chunks = [], builtins = [] } = Object.groupBy(each, (line) => (line.includes('"./') ? 'chunks' : 'builtins'));
  return [...chunks, ...builtins.sort(), code.slice(imports.length)].join('');
}

/** One character beyond Latin-1, and V8 holds two bytes for each of the whole file. Without comments they stand in literals alone. */
function inLatin(code: string): string {
  return code.replace(/[\u0100-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
