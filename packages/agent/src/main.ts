/** Entry of the weft binary: how a process ends, whatever happens, without a stack for people to read. */
import { endWithOutput } from '@weft/proto';
import { endAtOnce, mustEndAtOnce } from './bytes/end-at-once.ts';
import type { ExitCode } from './cli/errors.ts';
import { failureOf, tellFailure, toldAs } from './cli/failure.ts';
import { onHangup, watchTerminal } from './cli/hangup.ts';
import { run } from './cli/program.ts';
import { Interrupted, processTerminal } from './cli/terminal.ts';

const STOP_TIMEOUT_MS = 5_000;
/** What a second signal leaves to a command that hears of it. */
const HURRY_MS = 1_000;
/** As a shell tells of a program that a signal ended. */
const ENDED_BY = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;

/**
 * Runs the command line of this process and sets its exit code. SIGINT and SIGTERM, and SIGHUP where the command does not ask for it, stop it in
 * order, a second one at once; so does SIGQUIT.
 */
export async function main(argv: readonly string[]): Promise<void> {
  const args = argv.slice(2);
  const stop = new AbortController();
  let stopMs = STOP_TIMEOUT_MS;
  const stopsWithin = (limitMs: number) => {
    stopMs = limitMs;
  };
  // Of the agent a thread, or the pool, may wait for a name or a disk, which an exit would wait for.
  const end: (code: ExitCode) => never = args[0] === 'up' ? endAtOnce : process.exit;
  let hurry: (() => void) | undefined;
  const onSecondSignal = (listener: () => void) => {
    hurry = listener;
  };
  const watched = watchTerminal();
  let serving: boolean = false;
  const serves = () => {
    serving = true;
  };
  const terminal = {
    ...processTerminal(),
    onHangup: (listener: () => void) => onHangup(watched, listener, () => stop.signal.aborted),
    ...{ stopsWithin, onSecondSignal, serves },
  };
  let ended: ExitCode = ENDED_BY.SIGINT;
  let hurried: boolean = false;
  const onSignal = (signal: keyof typeof ENDED_BY) => {
    // A terminal that is closed sends it twice, from its shell and the kernel.
    if (signal === 'SIGHUP' && stop.signal.aborted) return;
    ended = ENDED_BY[signal];
    if (!stop.signal.aborted) {
      stop.abort(new Interrupted(signal === 'SIGHUP' && !watched.gone()));
      killWithin(stopMs);
      return;
    }
    if (hurried || hurry === undefined) end(ended);
    hurried = true;
    hurry();
    setTimeout(() => end(ended), HURRY_MS).unref();
  };
  const fail = (error: unknown): never => {
    const failure = failureOf(error, terminal.env, stop.signal);
    tellFailure(failure, toldAs(args), terminal);
    end(failure.code === 130 ? ended : failure.code);
  };
  const signals = ['SIGINT', 'SIGTERM', ...(args[0] === 'up' ? [] : (['SIGHUP'] as const))] as const;
  for (const signal of signals) process.on(signal, onSignal);
  process.on('SIGQUIT', () => end(ENDED_BY.SIGQUIT));
  process.on('uncaughtException', (error) => {
    if (args[0] === 'up') void logCrash(error).finally(() => fail(error));
    else fail(error);
  });
  endWithOutput(process, process.exit, fail, () => serving);
  const code = await run(args, terminal, stop.signal);
  process.exitCode = code === 130 || (code === 0 && hurried) ? ended : code;
  if (mustEndAtOnce()) endAtOnce(process.exitCode);
  // One of its threads may still wait for a name, or a disk.
  if (args[0] === 'up' && !stop.signal.aborted) killWithin(stopMs);
  // A terminal's second hangup may come behind all that.
  for (const signal of signals) if (signal !== 'SIGHUP') process.off(signal, onSignal);
}

/** Everything on the way down is bounded; this is for what was not foreseen, and for what hangs in a system call, which an exit would wait for. */
function killWithin(ms: number): void {
  setTimeout(() => {
    process.stderr.write('weft: did not stop in time; killed\n');
    endAtOnce();
  }, ms).unref();
}

/** A service's log keeps what whoever mends it needs. */
async function logCrash(error: unknown): Promise<void> {
  const { createLogger } = await import('./observe/logger.ts');
  const logger = createLogger(process.env);
  logger.fatal({ event: 'crashed', err: error }, 'the agent ends because of an error that nobody expected');
}
