/** The files of the window: which segments there are, and which could not be read. */
import { chmodSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isServiceName } from '@weft/proto';

/** SQLite's, and the note of how many records were written. */
const SIDE_FILES = ['-wal', '-shm', '-journal', '-records'];

export interface SegmentFile {
  readonly network: string;
  readonly number: number;
  readonly path: string;
}

/** A folder for each network: its name is a label of lower case letters, digits and hyphens, and so can stand in a path. */
export class SegmentDirectory {
  readonly path: string;
  /** Paths of what was set aside, or left to a newer version. */
  #unread: string[] = [];

  /** Makes it when it is not there. */
  constructor(path: string) {
    this.path = path;
    makeFolder(path);
  }

  /** By network and number; those of which nothing is left but the note of what was in them, too. Other files are not ours. */
  segments(): SegmentFile[] {
    const found = new Map<string, SegmentFile>();
    this.#unread = [];
    for (const entry of readdirSync(this.path, { withFileTypes: true })) {
      const network = entry.name;
      if (!entry.isDirectory() || !isServiceName(network)) continue;
      for (const name of readdirSync(join(this.path, network))) {
        const path = join(this.path, network, name);
        if (name.endsWith('.db.damaged')) this.#unread.push(path);
        else if (/^\d{4,15}\.db(-records)?$/.test(name)) {
          const segment = path.replace(/-records$/, '');
          found.set(segment, { network, number: Number.parseInt(name, 10), path: segment });
        }
      }
    }
    return [...found.values()].sort((one, other) => compare(one.network, other.network) || one.number - other.number);
  }

  /** Where a new segment goes; its folder is made. */
  place(network: string, number: number): string {
    if (!isServiceName(network)) throw new RangeError(`${JSON.stringify(network)} is no network's name`);
    const folder = join(this.path, network);
    makeFolder(folder);
    return join(folder, `${String(number).padStart(4, '0')}.db`);
  }

  /** Keeps what could not be read for whoever wants to look into it. */
  setAside(path: string): void {
    for (const suffix of SIDE_FILES) rmSync(path + suffix, { force: true });
    const aside = `${path}.damaged`;
    renameSync(path, aside);
    if (!this.#unread.includes(aside)) this.#unread.push(aside);
  }

  /** And the folder, when it was the last in it. */
  remove(path: string): void {
    // The note first: without the segment beside it, it would tell of one that somebody took away.
    for (const suffix of [...SIDE_FILES.toReversed(), '']) rmSync(path + suffix, { force: true });
    this.#unread = this.#unread.filter((one) => one !== path);
    try {
      rmdirSync(dirname(path));
    } catch {
      // Others are in it.
    }
  }

  /** Removes what of the network was set aside, or left to a newer version. */
  forget(network: string): void {
    for (const path of this.#unread) if (dirname(path) === join(this.path, network)) this.remove(path);
  }

  /** Those of a newer version stay as they are. */
  leave(path: string): void {
    this.#unread.push(path);
  }

  /** Removes what was set aside, or written last by a newer version, before that time; answers the bytes of the rest, oldest first. */
  unread(beforeMs: number): { readonly path: string; readonly bytes: number }[] {
    const left: { path: string; bytes: number; mtimeMs: number }[] = [];
    for (const path of this.#unread) {
      const file = statSync(path, { throwIfNoEntry: false });
      if (file !== undefined && file.mtimeMs >= beforeMs) left.push({ path, bytes: file.size, mtimeMs: file.mtimeMs });
      else this.remove(path);
    }
    return left.sort((one, other) => one.mtimeMs - other.mtimeMs);
  }
}

function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
