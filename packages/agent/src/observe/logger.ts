/** The process's log: JSON lines on stderr, so that stdout stays with the commands' own answers. */
import { type Logger, pino } from 'pino';

/** Level by WEFT_LOG_LEVEL, `info` when it is unset or unknown. Written synchronously: a last line before an exit is not lost. */
export function createLogger(environment: NodeJS.ProcessEnv, name = 'weft'): Logger {
  const asked = environment.WEFT_LOG_LEVEL ?? '';
  const level = asked === 'silent' || Object.hasOwn(pino.levels.values, asked) ? asked : 'info';
  return pino(
    { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
