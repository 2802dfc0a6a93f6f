/** weft lint and weft schema: what is right in a file, and in an answer, without a server. */
import { FileError, formatProblem } from '../config/errors.ts';
import { FILE_SORTS, jsonSchemaOf } from '../config/json-schema.ts';
import { type Linted, lintFile } from '../config/lint.ts';
import { wrongValue } from './errors.ts';
import { writeJson, writeJsonAsIs } from './json.ts';
import { ANSWERING, answerSchema, isAnswering } from './schemas/index.ts';
import { printable, type Terminal, warn } from './terminal.ts';

/** Answers with the exit code: 0 when it would be taken, 2 when not. Throws FileError unless that is asked for as JSON. */
export async function lint(file: string, options: { readonly json?: true }, terminal: Terminal): Promise<0 | 2> {
  let linted: Linted;
  try {
    linted = await lintFile(file);
  } catch (error) {
    if (!(error instanceof FileError) || options.json === undefined) throw error;
    writeJson(terminal, 'lint', { file, sort: null, problems: error.problems, warnings: [] });
    return 2;
  }
  const { sort, warnings } = linted;
  if (options.json !== undefined) {
    writeJson(terminal, 'lint', { file, sort, problems: [], warnings });
    return 0;
  }
  for (const warning of warnings) {
    warn(terminal, formatProblem(file, warning));
  }
  terminal.out(`${printable(file)}: a good ${sort} file\n`);
  return 0;
}

/** Of a file, or of what a command answers with `--json`. */
export function schema(words: readonly string[], terminal: Terminal): void {
  const what = words.join(' ');
  const sort = FILE_SORTS.find((word) => word === what);
  if (sort !== undefined) writeJsonAsIs(terminal, jsonSchemaOf(sort));
  else if (isAnswering(what)) writeJsonAsIs(terminal, answerSchema(what));
  else wrongValue('WHAT', `one of: ${[...FILE_SORTS, ...ANSWERING].join(', ')}`, what);
}
