// Generates message code and its types from proto/ into generated/, and skips the work when nothing changed: one file for
// the wire of control and agents, and under es/ what the client of the API shows to those who use it; the version; and what
// the documents say at `weft help TOPIC`.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cutTopics } from './topics/cut.ts';
import { toText } from './topics/text.ts';

const here = import.meta.dirname;
const protoRoot = join(here, 'proto');
const outDir = join(here, 'generated');
const files = [
  'google/rpc/error_details',
  'google/rpc/status',
  ...['mesh', 'agent', 'flow', 'admin'].map((name) => `weft/v1/${name}`),
];
const sources = files.map((name) => join(protoRoot, `${name}.proto`));

/** What wire has no use for: it encodes plain values, decodes, and checks what came by itself. */
const unused = ['--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service'];

/** What the API shows; an agent's own stream to control is none of it. */
const published = files.filter((name) => name !== 'weft/v1/agent');

const hash = createHash('sha256').update(readFileSync(import.meta.filename));
for (const source of sources) hash.update(readFileSync(source));
const digest = hash.digest('hex');
const stamp = join(outDir, '.stamp');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
  mkdirSync(outDir, { recursive: true });
  const cli = dirname(createRequire(import.meta.url).resolve('protobufjs-cli/package.json'));
  const run = (tool: string, args: readonly string[]): void => {
    execFileSync(process.execPath, [join(cli, 'bin', tool), ...args], { cwd: here, stdio: 'inherit' });
  };
  const code = (out: string, ...more: readonly string[]): void =>
    run(
      'pbjs',
      ['--target', 'static-module', '--wrap', 'es6', '--es6', '--force-number', ...unused, ...more].concat(
        '--path',
        protoRoot,
        '--out',
        out,
        ...sources,
      ),
    );
  // The types are made of the comments. The code that runs has none: V8 keeps a script's text for as long as it is
  // loaded, and of this one's 900 KB they were the larger part.
  const commented = join(outDir, 'commented.js');
  code(commented);
  run('pbts', ['--out', join(outDir, 'weft.d.ts'), commented]);
  rmSync(commented);
  code(join(outDir, 'weft.js'), '--no-comments', '--no-beautify');
  generateMessages();
  writeFileSync(stamp, digest);
}

writeVersion();
writeTopics();

/** Of protobuf-es. `clean` takes away what came of a file that is not there any more. */
function generateMessages(): void {
  const resolve = createRequire(import.meta.url).resolve;
  const template = {
    version: 'v2',
    clean: true,
    plugins: [
      {
        local: [
          process.execPath,
          join(dirname(resolve('@bufbuild/protoc-gen-es/package.json')), 'bin', 'protoc-gen-es'),
        ],
        out: join(outDir, 'es'),
        opt: ['target=js+dts', 'import_extension=js', 'json_types=true'],
      },
    ],
  };
  const buf = join(dirname(resolve('@bufbuild/buf/package.json')), 'bin', 'buf');
  const paths = published.flatMap((name) => ['--path', join(protoRoot, `${name}.proto`)]);
  execFileSync(process.execPath, [buf, 'generate', protoRoot, '--template', JSON.stringify(template), ...paths], {
    cwd: here,
    stdio: 'inherit',
  });
}

/**
 * What each program tells of itself: the package's version, and the commit that it was built of, with `.changed` when the tree
 * held more than that. A tree that is no checkout has the version alone.
 */
function writeVersion(): void {
  const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')) as { version: string };
  const [commit = '', seconds = '0'] = git('log', '-1', '--format=%h %ct', '--abbrev=12').split(' ');
  const build = commit === '' ? '' : `+${commit}${git('status', '--porcelain', '--untracked-files=no') && '.changed'}`;
  const lines = [`export const VERSION = '${version}${build}';`, `export const COMMIT_SECONDS = ${seconds};`, ''];
  writeIfOther('version.js', lines.join('\n'));
  writeIfOther('version.d.ts', 'export declare const VERSION: string;\nexport declare const COMMIT_SECONDS: number;\n');
}

function writeTopics(): void {
  const topics = cutTopics(join(here, '../..')).map(({ topic, about, markdown }) => {
    return { name: topic, about, text: toText(markdown) };
  });
  writeIfOther('topics.js', `export const TOPICS = ${JSON.stringify(topics, undefined, 2)};\n`);
  const type = 'readonly { readonly name: string; readonly about: string; readonly text: string }[]';
  writeIfOther('topics.d.ts', `export declare const TOPICS: ${type};\n`);
}

/** Untouched when it says the same, so that nothing is compiled again. */
function writeIfOther(name: string, text: string): void {
  const path = join(outDir, name);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

/** Without its newline; empty where git, or a repository, is missing. */
function git(...args: readonly string[]): string {
  try {
    return execFileSync('git', args, { cwd: here, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
