/** The files of the window: which segments there are, and which could not be read. */
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface SegmentFile {
  readonly number: number;
  readonly path: string;
}

export class SegmentDirectory {
  readonly path: string;

  /** Makes it when it is not there. */
  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  }

  /** By number. Other files are not ours. */
  segments(): SegmentFile[] {
    return readdirSync(this.path)
      .filter((name) => /^\d{4,15}\.db$/.test(name))
      .map((name) => ({ number: Number.parseInt(name, 10), path: join(this.path, name) }))
      .sort((one, other) => one.number - other.number);
  }

  pathOf(number: number): string {
    return join(this.path, `${String(number).padStart(4, '0')}.db`);
  }

  /** Keeps what could not be read for whoever wants to look into it. */
  setAside(path: string): void {
    for (const suffix of ['-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
    renameSync(path, `${path}.damaged`);
  }

  remove(path: string): void {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
  }

  /** Removes segments set aside before that time; answers the bytes of the rest, oldest first. */
  damaged(beforeMs: number): { readonly path: string; readonly bytes: number }[] {
    const files = readdirSync(this.path).filter((name) => name.endsWith('.db.damaged'));
    return files.sort().flatMap((name) => {
      const path = join(this.path, name);
      const { mtimeMs, size } = statSync(path);
      if (mtimeMs >= beforeMs) return [{ path, bytes: size }];
      rmSync(path, { force: true });
      return [];
    });
  }
}
