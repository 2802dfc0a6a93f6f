/** The two tokens of a control: who has the one acts, who has the other sees. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { decodeAdminToken, encodeAdminToken } from '@weft/proto';
import { createSecretFile, readSecretFile } from '@weft/proto/files';
import type { Actor } from '../audit/types.ts';
import { KeyFileError } from './errors.ts';

export interface Credentials {
  /** Compares with both, in constant time, whatever the first comparison said. */
  roleOf(token: string): Actor['role'] | undefined;
}

export interface OpenedCredentials extends Credentials {
  readonly adminTokenPath: string;
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
    roleOf: (token) => {
      const [isAdmin, isRead] = [admin.check(token), read.check(token)];
      if (isAdmin) return 'admin';
      return isRead ? 'read' : undefined;
    },
  };
}

/** A bearer's file: made at the first start, its text is what calls carry. */
interface TokenFile {
  readonly path: string;
  /** Takes as long for a wrong token as for the right one. */
  check(presented: string): boolean;
}

/** Reads the file, or makes it with mode 0600. `pin` is that of control's key, which the token carries to clients. */
async function openTokenFile(path: string, pin: Uint8Array): Promise<TokenFile> {
  let text = (await readSecretFile(path))?.trim();
  if (text === undefined) {
    text = encodeAdminToken({ pin, secret: randomBytes(32).toString('base64url') });
    await createSecretFile(path, `${text}\n`);
  }
  const advice = 'remove the file and start weft-control again for a new token';
  const token = decode(text, path, advice);
  if (!Buffer.from(token.pin).equals(Buffer.from(pin))) {
    throw new KeyFileError(
      'mismatch',
      `${path} was made for another key than control.key. If hosts have joined, control.key is not the one that they know: ` +
        `put it back from a backup. If the token is another control's, ${advice}`,
    );
  }
  // Digests have one length, whatever is presented, and a wrong first byte tells nothing of the secret.
  const expected = digest(text);
  return {
    path,
    check: (presented) => timingSafeEqual(digest(presented), expected),
  };
}

function decode(text: string, path: string, advice: string): { readonly pin: Uint8Array } {
  try {
    return decodeAdminToken(text);
  } catch (error) {
    throw new KeyFileError('damaged', `${path} holds no token of control; ${advice}`, { cause: error });
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
