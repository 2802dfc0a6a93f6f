/** Who else can come by the secrets in a program's directory. */
import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { FileError } from './errors.ts';

export interface SecretsOptions {
  readonly directory: string;
  /** Of names in the directory; of a folder the whole is meant. */
  readonly isSecret: (name: string) => boolean;
  /** Of who runs the program. */
  readonly uid: number;
}

/**
 * Warns of secrets that others may read, which are known by then: to refuse would stop a network and shut nobody out. What others may
 * write to is refused, as their directory would be: they may have put keys of their own there. Throws FileError.
 */
export function lookAtSecrets(options: SecretsOptions & { readonly logger: Pick<Logger, 'warn'> }): void {
  const { directory, uid, logger } = options;
  const isOpen = (statSync(directory).mode & 0o011) !== 0;
  for (const { path, found } of secretsOf(options)) {
    if (isOpen) refuseOthers(path, found, uid);
    if ((found.mode & 0o077) !== 0)
      logger.warn(
        { event: 'secret-exposed', path },
        `others than its owner may read ${path}, where the directory lets them; run chmod go= on it, and replace what it holds if they are not trusted`,
      );
  }
  for (const path of replaceableAbove(directory, uid))
    logger.warn(
      { event: 'directory-replaceable', path },
      `others may write to ${path}, and so put another directory in the place of ${directory}; run chmod go-w on it, or keep it elsewhere with --data`,
    );
}

/** Paths of secrets that others than their owner may read. */
export function exposedSecrets(options: Omit<SecretsOptions, 'uid'>): readonly string[] {
  return secretsOf(options).flatMap(({ path, found }) => ((found.mode & 0o077) === 0 ? [] : [path]));
}

function secretsOf({ directory, isSecret }: Omit<SecretsOptions, 'uid'>): { path: string; found: Stats }[] {
  return readdirSync(directory)
    .filter(isSecret)
    .flatMap((name) => {
      const path = join(directory, name);
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? [] : [{ path, found }];
    });
}

function refuseOthers(path: string, found: Stats, uid: number): void {
  const why = whoElseWrites(found, uid);
  if (why === undefined) return;
  const advice = `if they are trusted, chown ${uid} and chmod go= it; else put it back from a backup`;
  throw new FileError('unusable', `cannot use ${path}: ${why}, who may have put keys of their own there; ${advice}`);
}

/** Who but root and this user may write there; undefined for nobody. */
export function whoElseWrites({ mode, uid: owner }: Pick<Stats, 'mode' | 'uid'>, uid: number): string | undefined {
  if (owner !== uid && owner !== 0) return `it belongs to another user, ${owner}`;
  return (mode & 0o022) === 0 ? undefined : 'it may be written to by others';
}

/** Directories above in which others may rename what is this user's, by the path as given and as it is. */
export function replaceableAbove(directory: string, uid: number): readonly string[] {
  const above = new Set([...parentsOf(resolve(directory)), ...parentsOf(realpathSync(directory))]);
  return [...above].filter((path) => {
    const { mode, uid: owner, gid } = statSync(path);
    // In a sticky one, as /tmp is, only their own. A user's own group, and root's, are nobody else.
    const group = gid === uid || gid === 0 ? 0 : 0o020;
    const counts = (mode & 0o1000) === 0 ? 0o002 | group : 0;
    // A user that this user namespace does not know may be root outside.
    return whoElseWrites({ uid: owner === UNKNOWN ? 0 : owner, mode: mode & counts }, uid) !== undefined;
  });
}

const UNKNOWN = 65_534;

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...parentsOf(parent)];
}
