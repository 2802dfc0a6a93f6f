/** Why the guard's table could not be had. */
import { CodedError } from '@weft/proto';

export class GuardError extends CodedError<
  | 'guard-no-nft'
  | 'guard-not-permitted'
  | 'guard-no-kernel'
  | 'guard-refused'
  | 'guard-of-another'
  | 'guard-own-way'
  | 'guard-odd-wish'
> {
  override readonly name = 'GuardError';
}
