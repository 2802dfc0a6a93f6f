/** What the guard of this host is to close: the agent says so, and while it is off the file that it keeps. */
import { realpathSync } from 'node:fs';
import { messageOf, parseRange } from '@weft/proto';
import { readGuardFile } from '../../guard/guard-file.ts';
import type { GuardWish } from '../../guard/ruleset.ts';
import type { ServicePlace } from '../../inbound/exposure.ts';
import type { GuardAnswer, LocalQuestion } from '../../observe/local-question.ts';
import { CommandError } from '../errors.ts';
import { askRunning } from '../local-agent.ts';

const ANSWER_MS = 5_000;

/** As asked for last. */
export interface Wish extends GuardWish {
  readonly wanted: boolean;
  readonly places: readonly ServicePlace[];
  /** Empty where no agent said so. */
  readonly number: string;
  /** Whether something sees to it, as the agent was told. */
  readonly kept: boolean;
}

type Told = Omit<Extract<LocalQuestion, { ask: 'guard' }>, 'ask'>;

/** Throws CommandError, also where no agent runs. */
export async function askAgent(directory: string, told: Told, signal: AbortSignal): Promise<Wish> {
  const answer = await askRunning<GuardAnswer>(
    directory,
    { ask: 'guard', ...told },
    {
      isAnswer: ({ wanted, number }) => wanted !== undefined && number !== undefined,
      lacks: 'does not say what a guard is to close',
      timeoutMs: ANSWER_MS,
      signal,
    },
  );
  return { ...answer, range: rangeOf(answer.range), directory: realpathSync(directory) };
}

/** Of an agent that is off, what it said last; undefined where it asks for no guard. Throws CommandError where that cannot be read. */
export async function keptWish(directory: string): Promise<Wish | undefined> {
  let kept: Awaited<ReturnType<typeof readGuardFile>>;
  try {
    kept = await readGuardFile(directory);
  } catch (cause) {
    throw new CommandError(
      'nothing-to-ask',
      `guard.json in ${directory} cannot be read (${messageOf(cause)}); start its agent, which knows what is to be closed, and say weft guard on again`,
      { cause },
    );
  }
  if (kept === undefined) return undefined;
  const { places, range } = kept;
  return { wanted: true, places, range: rangeOf(range), directory: realpathSync(directory), number: '', kept: false };
}

/** The agent's word, else what it kept. Throws CommandError where there is neither. */
export async function wishNow(directory: string, told: Told, signal: AbortSignal): Promise<Wish> {
  try {
    return await askAgent(directory, told, signal);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'nothing-to-ask') throw error;
    const kept = await keptWish(directory);
    if (kept === undefined) throw error;
    return kept;
  }
}

function rangeOf(text: string): GuardWish['range'] {
  const range = parseRange(text);
  if (range === undefined) throw new CommandError('nothing-to-ask', `the agent's range is none: ${text}`);
  return range;
}
