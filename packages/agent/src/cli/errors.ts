/** How commands end. */

/** 0 done, 1 failed, 2 wrong usage, 3 `explain` says deny. */
export type ExitCode = 0 | 1 | 2 | 3;

/** The command was given wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'usage';
}

/** The command failed: exit code 1. The message says what failed, why, and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code:
    | 'admin-token'
    | 'control-refused'
    | 'control-unreachable'
    | 'not-kept'
    | 'stragglers'
    | 'nothing-to-ask';

  constructor(code: CommandError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
