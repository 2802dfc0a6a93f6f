/** A call of the system that failed, as the system says it. */
import { getSystemErrorMap } from 'node:util';
import { messageOf } from '@weft/proto';

/** Such as `connection refused`. */
export function systemWords(cause: unknown): string {
  const { errno } = cause as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? messageOf(cause);
}
