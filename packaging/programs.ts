/**
 * Each program as a few files that hold all it loads, its packages too: nothing looks through node_modules at a start. What is
 * loaded on demand in the sources has a file of its own here, so that an agent does not hold what only another command needs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** Of the root of a built checkout; an entry of threads is found beside the code that starts them, by this name. */
const PROGRAMS = {
  agent: {
    weft: 'packages/agent/bin/weft.js',
    entry: 'packages/agent/dist/run/workers/entry.js',
    'owner-thread': 'packages/agent/dist/owner/owner-thread.js',
    'listening-thread': 'packages/agent/dist/owner/listening-thread.js',
  },
  control: { 'weft-control': 'packages/control/bin/weft-control.js', entry: 'packages/control/dist/flows/entry.js' },
};

/** Writes DIR/{agent,control}/dist/program. Answers the paths of all modules that are in them. */
export async function bundlePrograms(root: string, dir: string): Promise<readonly string[]> {
  const modules: string[] = [];
  for (const [name, entries] of Object.entries(PROGRAMS)) {
    const bundle = await rolldown({
      cwd: root,
      input: entries,
      platform: 'node',
      // CommonJS has it, and finds its data by it: as many folders below lib/control as below its own package.
      transform: { define: { __dirname: 'import.meta.dirname' } },
      onLog: (level, log) => {
        if (level !== 'info' && level !== 'debug') throw new Error(log.message);
      },
    });
    const { output } = await bundle.generate({
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: '[name].mjs',
      comments: { legal: false, annotation: false, jsdoc: false },
      // Names stay: of what nobody foresaw, the stack is all that a report can tell.
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    });
    const to = join(dir, name, 'dist', 'program');
    mkdirSync(to, { recursive: true });
    for (const file of output) {
      if (file.type !== 'chunk') throw new Error(`${name}: ${file.fileName} is no code`);
      modules.push(...file.moduleIds);
      writeFileSync(join(to, file.fileName), inLatin(inOrder(file.code)));
    }
    await bundle.close();
  }
  return modules.filter((path) => !path.startsWith('\0'));
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
