/** The agent's log. */
import { openLog } from '@weft/proto/observe';
import { type Logger, pino } from 'pino';

/** Whether WEFT_LOG_LEVEL is unset, or a level. */
export function isLevel(asked = ''): boolean {
  return asked === '' || asked === 'silent' || Object.hasOwn(pino.levels.values, asked);
}

/** Level by WEFT_LOG_LEVEL, `info` when it is unset, or unknown: the last words of an agent that ends are logged all the same. */
export function createLogger(environment: NodeJS.ProcessEnv, name = 'weft'): Logger {
  const asked = environment.WEFT_LOG_LEVEL ?? '';
  const level = asked !== '' && isLevel(asked) ? asked : 'info';
  return openLog({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime });
}
