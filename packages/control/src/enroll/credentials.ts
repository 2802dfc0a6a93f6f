/** The two tokens of a control: who has the one acts, who has the other sees. */
import { join } from 'node:path';
import { readSecretFile } from '@weft/proto/files';
import type { Actor } from '../audit/types.ts';
import { KeyFileError } from './errors.ts';
import { openTokenFile } from './token-file.ts';

export interface Credentials {
  /** Compares with both, in constant time, whatever the first comparison said. */
  roleOf(token: string): Actor['role'] | undefined;
}

export interface OpenedCredentials extends Credentials {
  readonly adminTokenPath: string;
  /** Token files that others than their owner can read. */
  readonly exposed: readonly string[];
}

/** Reads `admin.token` and `read.token` in the directory, and makes those that are not there. `pin` is that of control's key. */
export async function openCredentials(directory: string, pin: Uint8Array): Promise<OpenedCredentials> {
  const admin = await openTokenFile(join(directory, 'admin.token'), pin);
  const read = await openTokenFile(join(directory, 'read.token'), pin);
  if (admin.check((await readSecretFile(read.path))?.trim() ?? '')) {
    const advice = 'remove read.token and start weft-control again for a new one';
    throw new KeyFileError('mismatch', `${read.path} holds the admin token, so that who may see could act; ${advice}`);
  }
  return {
    adminTokenPath: admin.path,
    exposed: [admin, read].filter(({ exposed }) => exposed).map(({ path }) => path),
    roleOf: (token) => {
      const [isAdmin, isRead] = [admin.check(token), read.check(token)];
      if (isAdmin) return 'admin';
      return isRead ? 'read' : undefined;
    },
  };
}
