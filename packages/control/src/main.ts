/** weft-control: from the command line to a running control and an exit code. */
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import {
  endWithOutput,
  escapeUnseen,
  FileLimitError,
  isSystemError,
  ServiceManager,
  systemErrorWords,
} from '@weft/proto';
import { FileError } from '@weft/proto/files';
import { ListenError, openLog } from '@weft/proto/observe';
import { CommanderError } from 'commander';
import type { Logger } from 'pino';
import type { Header } from './backup/contents.ts';
import { BackupError } from './backup/errors.ts';
import { restore } from './backup/restore.ts';
import { backUp } from './backup/write.ts';
import { addHelp, buildProgram, type Commands } from './cli/program.ts';
import { KeyFileError } from './enroll/errors.ts';
import { FlowsError } from './flows/errors.ts';
import { keepHeapSmall } from './heap.ts';
import { type Control, type ServeOptions, startControl } from './serve.ts';
import { StoreError } from './store/errors.ts';

/** Only these load what is told at `help`. */
const HELPING: ReadonlySet<string> = new Set(['help', '--help', '-h']);

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  let serving: boolean = false;
  endWithOutput(process, process.exit, fail, () => serving);
  const serves: Commands['serve'] = (options) => {
    serving = true;
    return serve(options);
  };
  try {
    const program = buildProgram({ serve: serves, backup, restore: restoreInto });
    if (HELPING.has(argv[2] ?? 'help'))
      addHelp(program, await import('@weft/proto/topics'), (text) => void process.stdout.write(text));
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has said what is wrong, or shown the help that was asked for.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    tell(error);
    process.exitCode = 1;
  }
}

function fail(error: unknown): never {
  tell(error);
  process.exit(1);
}

function tell(error: unknown): void {
  process.stderr.write(`weft-control: ${escapeUnseen(explain(error))}\n`);
}

/** Runs control until a signal asks it to stop. */
async function serve(options: ServeOptions): Promise<void> {
  const logger = openLog({ level: options.logLevel, base: null });
  // grpc-js writes to the console what it also throws: once is enough, and in our own words.
  setLogVerbosity(logVerbosity.NONE);
  const stop = stopSignal(logger);
  crashLoudly(logger);
  const manager = new ServiceManager(process.env, (error) =>
    logger.warn({ event: 'notify-failed', err: error }, 'systemd could not be told how control fares'),
  );
  const control = await startControl(options, { logger, now: Date.now });
  const letHeapGrow = keepHeapSmall();
  try {
    process.stdout.write(`${escapeUnseen(readyLine(control))}\n`);
    manager.ready();
    await stop;
    manager.stopping();
  } finally {
    letHeapGrow();
    await control.close();
  }
  logger.info({ event: 'stopped' }, 'control stopped');
}

const backup: Commands['backup'] = ({ directory, file }) => {
  const written = backUp({ directory, file, now: Date.now });
  say(`wrote ${file}: control at ${standOf(written)}. It holds the keys: keep it as secret as ${directory}`);
};

const restoreInto: Commands['restore'] = (options) => {
  const { movedTo, exposed, ...made } = restore({ ...options, now: Date.now });
  if (exposed !== undefined)
    process.stderr.write(`weft-control: warning: ${escapeUnseen(options.file)} holds control's keys, and ${exposed}\n`);
  const { directory } = options;
  if (movedTo !== undefined) say(`moved what was there to ${movedTo}`);
  say(
    `restored ${directory}: control at ${standOf(made)}, as it was at ${new Date(made.madeMs).toISOString()}. Start it with ` +
      `weft-control serve --data ${directory}. Where agents have heard of more since, it says so, serves none of them, and they ` +
      'go on with what they hold, until a newer copy is restored or it is started with --accept-older-data',
  );
};

function standOf({ revision, networks }: Header): string {
  return `revision ${revision}, with ${networks} ${networks === 1 ? 'network' : 'networks'}`;
}

function say(sentence: string): void {
  process.stdout.write(`${escapeUnseen(sentence)}\n`);
}

function readyLine({ address, dashboard, metrics, pin, adminTokenPath }: Control): string {
  const parts = [`listening on ${address}`, `pin ${Buffer.from(pin).toString('base64url')}`];
  if (dashboard !== undefined) parts.push(`dashboard on http://${dashboard}`);
  if (metrics !== undefined) parts.push(`metrics on http://${metrics}/metrics`);
  parts.push(`admin token in ${adminTokenPath}`);
  return `weft-control ready: ${parts.join(', ')}`;
}

/** As a shell tells of a program that a signal ended. */
const ENDED_BY = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Resolves at the first SIGTERM, SIGINT, or SIGHUP, as of a terminal that is closed; a second one, and no hangup, ends the process at once. */
function stopSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: keyof typeof ENDED_BY): void => {
      // A terminal that is closed sends it twice, from its shell and the kernel.
      if (asked && signal === 'SIGHUP') return;
      if (asked) process.exit(ENDED_BY[signal]);
      asked = true;
      logger.info({ event: 'stopping', signal }, 'control is stopping');
      resolve();
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('SIGHUP', onSignal);
  });
}

/** What nobody expected leaves control in a state that nobody knows: it says so and ends, and its data is on disk. */
function crashLoudly(logger: Logger): void {
  const crash = (error: unknown): void => {
    logger.fatal({ event: 'crashed', err: error }, 'control ends because of an error that nobody expected');
    process.exit(1);
  };
  process.on('uncaughtException', crash).on('unhandledRejection', crash);
}

/** Errors that are known say themselves what to do. */
function explain(error: unknown): string {
  const known = [BackupError, FileError, FileLimitError, FlowsError, KeyFileError, ListenError, StoreError].some(
    (type) => error instanceof type,
  );
  if (!(error instanceof Error)) return String(error);
  if (known) return error.message;
  if (isSystemError(error)) return systemErrorWords(error);
  return process.env.WEFT_LOG_LEVEL === 'debug'
    ? (error.stack ?? error.message)
    : `${error.message}; this is a fault of weft-control: WEFT_LOG_LEVEL=debug shows where`;
}
