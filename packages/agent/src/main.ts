/** Entry of the weft binary. */
import { run } from './cli/program.ts';
import { processTerminal } from './cli/terminal.ts';

const STOP_TIMEOUT_MS = 5_000;

/** Runs the command line of this process and sets its exit code. SIGINT and SIGTERM stop it in order; a second one at once. */
export async function main(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  let stopMs = STOP_TIMEOUT_MS;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    stop.abort();
    // Everything on the way down is bounded; this is for what was not foreseen.
    setTimeout(() => {
      process.stderr.write('weft: did not stop in time; exiting\n');
      process.exit(1);
    }, stopMs).unref();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A reader such as head that has seen enough is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const stopsWithin = (limitMs: number) => {
    stopMs = limitMs;
  };
  process.exitCode = await run(argv.slice(2), { ...processTerminal(), stopsWithin }, stop.signal);
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
}
