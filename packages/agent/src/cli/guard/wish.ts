/** What the guard of this host is to close: the agent says so, and while it is off the file that it keeps. */
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '@weft/proto';
import { z } from 'zod';
import { readVipRange } from '../../config/vip-range.ts';
import { GuardError } from '../../guard/errors.ts';
import { readGuardFile, type ToBeClosed, toBeClosed } from '../../guard/guard-file.ts';
import type { GuardWish } from '../../guard/ruleset.ts';
import type { ServicePlace } from '../../inbound/exposure.ts';
import type { GuardAnswer, LocalQuestion } from '../../observe/local-question.ts';
import { isUnknownUser } from '../../owner/users.ts';
import { CommandError } from '../errors.ts';
import { askRunning } from '../local-agent.ts';

const ANSWER_MS = 5_000;
const ROOT = 0;

/** As asked for last. */
export interface Wish extends GuardWish {
  readonly wanted: boolean;
  readonly places: readonly ServicePlace[];
  /** Empty where no agent said so. */
  readonly number: string;
  /** Whether something sees to it, as the agent was told. */
  readonly kept: boolean;
}

/** Whoever listens at the agent's socket may be anybody who has become its user, and who asks is root. */
const guardAnswer: z.ZodType<GuardAnswer> = toBeClosed.extend({
  wanted: z.boolean(),
  number: z.string().regex(/^[0-9a-f]{1,64}$/),
  kept: z.boolean(),
});

type Told = Omit<Extract<LocalQuestion, { ask: 'guard' }>, 'ask'>;

/** Throws CommandError, also where no agent runs, and GuardError where its answer is not of the form of one. */
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
  const read = guardAnswer.safeParse(answer);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw oddWish(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  return { ...read.data, ...formOf(read.data, directory) };
}

/** Of an agent that is off, what it said last; undefined where it asks for no guard. Throws CommandError `guard-unreadable`. */
export async function keptWish(directory: string): Promise<Wish | undefined> {
  let kept: Awaited<ReturnType<typeof readGuardFile>>;
  try {
    kept = await readGuardFile(directory);
  } catch (cause) {
    throw new CommandError(
      'guard-unreadable',
      `guard.json in ${directory} cannot be read (${messageOf(cause)}); start its agent, which knows what is to be closed, and say weft guard on again`,
      { cause },
    );
  }
  if (kept === undefined) return undefined;
  return { wanted: true, places: kept.places, ...formOf(kept, directory), number: '', kept: false };
}

/** The agent's word, else what it kept. Throws CommandError `nothing-to-ask` where there is neither, `guard-unreadable` where nobody knows. */
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

function formOf({ range, user }: ToBeClosed, directory: string): Pick<GuardWish, 'range' | 'users' | 'directory'> {
  return { range: rangeOf(range), users: usersOf(user, directory), directory: realPathOf(directory) };
}

/** Who an agent in a user namespace is it does not know, but its directory does; and of a directory that is another's by an idmapped mount, the agent. */
function usersOf(user: number | undefined, directory: string): readonly number[] {
  if (user === undefined) return [];
  const owner = statSync(directory).uid;
  return [...new Set([ROOT, user, ...(isUnknownUser(owner) ? [] : [owner])])].sort((one, other) => one - other);
}

/** As the table has it. Also of a directory that is gone, whose guard may still stand. */
export function realPathOf(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return resolve(directory);
  }
}

/** Of those that an agent may have for its VIPs: no network of this host, and nobody's on the internet. */
function rangeOf(text: string): GuardWish['range'] {
  const range = readVipRange(text);
  if (typeof range === 'string') throw oddWish(`its range ${range}`);
  return range;
}

function oddWish(what: string): GuardError {
  return new GuardError(
    'guard-odd-wish',
    `what the agent says is to be closed is not of the form of it (${what}); nothing was changed; see who runs as the agent's user, and whether the agent is of this version`,
  );
}
