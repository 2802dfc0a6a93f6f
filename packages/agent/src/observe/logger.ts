/** The agent's log. */
import { openLog } from '@weft/proto/observe';
import { type Logger, pino } from 'pino';

/** Level by WEFT_LOG_LEVEL, `info` when it is unset or unknown. */
export function createLogger(environment: NodeJS.ProcessEnv, name = 'weft'): Logger {
  const asked = environment.WEFT_LOG_LEVEL ?? '';
  const level = asked === 'silent' || Object.hasOwn(pino.levels.values, asked) ? asked : 'info';
  return openLog({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime });
}
