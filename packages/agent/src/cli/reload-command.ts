/** weft reload: has the agent of this host read its file again, and tells what of it is in force now. */
import { escapeUnseen } from '@weft/proto';
import type { FileChange } from '../config/file-changes.ts';
import type { ReloadAnswer } from '../observe/local-question.ts';
import { NOT_IN_FORCE } from '../words/problems.ts';
import type { ExitCode } from './errors.ts';
import { writeJson } from './json.ts';
import { askRunning } from './local-agent.ts';
import { defaultDirectory } from './paths.ts';
import { paint, paintErr, type Terminal } from './terminal.ts';

export interface ReloadOptions {
  readonly data?: string;
  readonly json?: boolean;
}

/** Listeners of a large network are bound before it is answered, by every thread. */
const ANSWER_MS = 20_000;

/** Answers with the exit code: 1 where a part of the file could not be put in force. */
export async function reload(options: ReloadOptions, terminal: Terminal, signal: AbortSignal): Promise<ExitCode> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  const { file, changes, problems } = await ask(directory, signal);
  const code = problems.some((problem) => NOT_IN_FORCE.has(problem.code)) ? 1 : 0;
  if (options.json === true) {
    writeJson(terminal, 'reload', { file, changes, problems });
    return code;
  }
  for (const change of changes) terminal.out(`${line(change, terminal)}\n`);
  for (const { code: kind, subject, message } of problems) {
    terminal.err(`${paintErr(terminal, 'red', 'problem')}    ${escapeUnseen(`${subject}: ${message} (${kind})`)}\n`);
  }
  const what = changes.length === 0 ? ': nothing has changed' : ' is in force';
  const but = changes.length === 0 ? ', and not all of it is in force' : ', but for what the problems say';
  terminal.out(escapeUnseen(`${file}${what}${code === 0 ? '' : but}\n`));
  return code;
}

async function ask(directory: string, signal: AbortSignal): Promise<ReloadAnswer> {
  const answer = await askRunning<ReloadAnswer>(
    directory,
    { ask: 'reload' },
    {
      isAnswer: ({ file, changes }) => file !== undefined && changes !== undefined,
      lacks: 'cannot read its file again',
      orElse: ', which takes up the file',
      timeoutMs: ANSWER_MS,
      signal,
    },
  );
  // One of before says nothing of them.
  const { problems = [] }: Partial<ReloadAnswer> = answer;
  return { ...answer, problems };
}

function line({ key, before, after, overriddenBy }: FileChange, terminal: Terminal): string {
  const shown = (value: string) => (value === '' ? '' : `: ${value}`);
  const text =
    before === null
      ? paint(terminal, 'green', escapeUnseen(`+ ${key}${shown(after ?? '')}`))
      : after === null
        ? paint(terminal, 'red', escapeUnseen(`- ${key}${shown(before)}`))
        : paint(terminal, 'yellow', escapeUnseen(`~ ${key}: ${before} -> ${after}`));
  return overriddenBy === undefined ? text : `${text} (without effect: restart without ${overriddenBy})`;
}
