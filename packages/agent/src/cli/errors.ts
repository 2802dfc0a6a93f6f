/** How commands end. */
import { CodedError, type FieldProblem } from '@weft/proto';

/**
 * 0 done, 1 failed, 2 wrong usage or file, 3 the answer is no: `explain` says deny, `connect` is denied, `diff` says that an apply
 * would change something, 4 a break was found, 130 interrupted by Ctrl-C, 129 by SIGHUP, 131 by SIGQUIT, 143 by SIGTERM.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 129 | 130 | 131 | 143;

/** The command was given wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'usage';
}

/** An option, or an argument, that was given what it does not take. */
export function wrongValue(option: string, expected: string, found: string): never {
  throw new UsageError(`${option} takes ${expected}; found ${JSON.stringify(found)}`);
}

/** The command failed: exit code 1, and 3 where a call was `denied`. The message says what failed, why, and what to do. */
export class CommandError extends CodedError<
  | 'admin-token'
  | 'agent-not-trusted'
  | 'agent-too-old'
  | 'cannot-listen'
  | 'control-refused'
  | 'control-unreachable'
  | 'denied'
  | 'interrupted'
  | 'no-address'
  | 'no-such-host'
  | 'no-such-service'
  | 'not-carried'
  | 'not-confirmed'
  | 'not-kept'
  | 'not-listening'
  | 'cannot-become'
  | 'no-nft'
  | 'no-perl'
  | 'no-sandboxes'
  | 'sandbox-refused'
  | 'stragglers'
  | 'nothing-to-ask'
  | 'guard-unreadable'
> {
  override readonly name = 'CommandError';
  /** What is wrong with which field of what was asked, where control named any; its message tells them too. */
  readonly fields: readonly FieldProblem[];

  constructor(
    code: CommandError['code'],
    message: string,
    options?: ErrorOptions,
    fields: readonly FieldProblem[] = [],
  ) {
    super(code, message, options);
    this.fields = fields;
  }
}
