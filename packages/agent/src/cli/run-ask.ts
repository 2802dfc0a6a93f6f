/** Asks the agent whether a sandbox may begin, and finds which agent that is. */
import { access, constants, lstat, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CodedError, isSystemError, messageOf } from '@weft/proto';
import { fromWord, type Granted, MOST_ANSWER, type Wanted, writeWanted } from '../sandbox/lines.ts';
import { SYSTEM_RUN_SOCKET } from '../sandbox/socket-path.ts';
import { CommandError } from './errors.ts';
import { defaultDirectory } from './paths.ts';
import type { RunOptions } from './run-options.ts';
import type { Terminal } from './terminal.ts';

/** The first who comes finds nobody for as long as a Perl program takes to start. */
const ANSWER_MS = 10_000;
const AGAIN_MS = 50;
/** A socket that nobody listens at is what an agent leaves that was killed; one that starts has another by then. */
const LEFT_MS = 2_000;

/** Path of the socket. Throws CommandError where there is none that this user may use. */
export async function findAgent({ runSocket, data }: RunOptions, { env }: Pick<Terminal, 'env'>): Promise<string> {
  if (runSocket !== undefined) return await usable(runSocket);
  if (data !== undefined) return await usable(join(data, 'run.sock'));
  const own = join(defaultDirectory('weft', env), 'run.sock');
  let shut: CommandError | undefined;
  for (const path of [own, SYSTEM_RUN_SOCKET]) {
    try {
      return await usable(path);
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== 'nothing-to-ask') throw error;
      if (isSystemError(error.cause) && error.cause.code === 'EACCES') shut ??= error;
    }
  }
  throw shut ?? noAgent(`${own} or ${SYSTEM_RUN_SOCKET}`, 'no such file');
}

async function usable(path: string): Promise<string> {
  try {
    await access(path, constants.W_OK);
  } catch (cause) {
    throw notUsable(path, cause);
  }
  await requireTrusted(path);
  return path;
}

/**
 * Who listens there decides what a program is shut in with. In a directory that root or its owner alone may write that is one of the two, by
 * the kernel's word, now and whenever the supervisor comes again.
 */
async function requireTrusted(path: string): Promise<void> {
  const [socket, directory] = await Promise.all([lstat(path), stat(dirname(path))]).catch((cause: unknown) => {
    throw noAgent(path, messageOf(cause));
  });
  if (!socket.isSocket()) throw noAgent(path, 'it is no socket');
  const own = process.getuid?.();
  const isKnown = (uid: number) => uid === 0 || uid === own;
  const isOpen = (directory.mode & 0o022) !== 0;
  // Others may not take the place of what is another's in a sticky one, as /tmp is, but may have been there first.
  const isSticky = (directory.mode & 0o1000) !== 0;
  if (isOpen && !(isSticky && isKnown(socket.uid) && isKnown(directory.uid)))
    throw notTrusted(path, `others than its owner may write to ${dirname(path)}`);
  if (!isKnown(socket.uid) && socket.uid !== directory.uid)
    throw notTrusted(path, `it is of user ${socket.uid}, and its directory of user ${directory.uid}`);
}

function notTrusted(path: string, why: string): CommandError {
  return new CommandError(
    'agent-not-trusted',
    `anybody may be who listens at ${path}: ${why}; have the agent listen in a directory of its own: weft up --run-socket PATH, as in /run/weft`,
  );
}

function notUsable(path: string, cause: unknown): CommandError {
  if (!isSystemError(cause) || cause.code !== 'EACCES') return noAgent(path, messageOf(cause));
  return new CommandError(
    'nothing-to-ask',
    `${path} is closed to this user (EACCES), as an agent's own directory is to all but its user; have the agent listen where this user may go: weft up --run-socket PATH, weft run --run-socket PATH; or run this as the agent's user`,
    { cause },
  );
}

function noAgent(where: string, why: string): CommandError {
  return new CommandError(
    'nothing-to-ask',
    `no agent takes sandboxes at ${where} (${why}); start one: weft up; or say where it listens for them: weft up --run-socket PATH, weft run --run-socket PATH`,
  );
}

/** Throws CommandError with what the agent said, where it refuses. */
export async function askForSandbox(path: string, wanted: Wanted, signal: AbortSignal): Promise<Granted> {
  const untilMs = performance.now() + ANSWER_MS;
  let leftMs: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    let cause: unknown;
    try {
      const answer = await askOnce(path, `ask ${writeWanted(wanted)}\n`, untilMs - performance.now());
      if (answer !== undefined) return granted(answer);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      cause = error;
    }
    if (performance.now() > untilMs)
      throw noAgent(path, cause === undefined ? `it says nothing within ${ANSWER_MS / 1_000} s` : messageOf(cause));
    if (isSystemError(cause) && cause.code === 'EACCES') throw notUsable(path, cause);
    leftMs = isSystemError(cause) && cause.code === 'ECONNREFUSED' ? (leftMs ?? performance.now()) : undefined;
    if (leftMs !== undefined && performance.now() - leftMs > LEFT_MS)
      throw noAgent(path, 'nobody listens at it (ECONNREFUSED), as after an agent that was killed');
    await wait(AGAIN_MS);
  }
}

/** Undefined where whoever listens ended without a word. */
function askOnce(path: string, question: string, withinMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(path, () => socket.write(question));
    socket.setTimeout(Math.max(1, withinMs), () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => {
      heard += piece;
      if (heard.length > MOST_ANSWER + 1) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(heard.endsWith('\n') ? heard.trimEnd() : undefined));
  });
}

function granted(answer: string): Granted {
  const [what, word = ''] = answer.split(' ');
  if (what === 'granted') return JSON.parse(fromWord(word)) as Granted;
  if (what === 'refused') throw new CommandError('sandbox-refused', fromWord(word));
  throw new CommandError(
    'agent-too-old',
    'the agent answers what this weft does not know; run both of the same version',
  );
}
