/** weft lint and weft schema: about the files that people write, without a server. */
import { FileError, formatProblem } from '../config/errors.ts';
import { FILE_SORTS, jsonSchemaOf } from '../config/json-schema.ts';
import { type Linted, lintFile } from '../config/lint.ts';
import { wrongValue } from './errors.ts';
import { writeJson, writeJsonAsIs } from './json.ts';
import { paintErr, printable, type Terminal } from './terminal.ts';

/** Answers with the exit code: 0 when it would be taken, 2 when not. Throws FileError unless that is asked for as JSON. */
export async function lint(file: string, options: { readonly json?: true }, terminal: Terminal): Promise<0 | 2> {
  let linted: Linted;
  try {
    linted = await lintFile(file);
  } catch (error) {
    if (!(error instanceof FileError) || options.json === undefined) throw error;
    writeJson(terminal, { version: 1, file, sort: null, problems: error.problems, warnings: [] });
    return 2;
  }
  const { sort, warnings } = linted;
  if (options.json !== undefined) {
    writeJson(terminal, { version: 1, file, sort, problems: [], warnings });
    return 0;
  }
  for (const warning of warnings) {
    terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${printable(formatProblem(file, warning))}\n`);
  }
  terminal.out(`${printable(file)}: a good ${sort} file\n`);
  return 0;
}

export function schema(sort: string, terminal: Terminal): void {
  const known = FILE_SORTS.find((word) => word === sort);
  if (known === undefined) wrongValue('FILE', FILE_SORTS.join(' or '), sort);
  writeJsonAsIs(terminal, jsonSchemaOf(known));
}
