import { CodedError } from '@weft/proto';

/** Why a backup was not made, or not restored. Nothing was changed then, unless the message says so. */
export type BackupErrorCode =
  | 'no-control'
  | 'occupied'
  | 'not-a-backup'
  | 'damaged'
  | 'too-new'
  | 'unreadable'
  | 'unwritable';

export class BackupError extends CodedError<BackupErrorCode> {
  override readonly name = 'BackupError';
}
