/** Names and numbers of users, by /etc/passwd as it is now. */
import { readFileSync, statSync } from 'node:fs';

export class Users {
  readonly #file: string;
  #stamp = '';
  #byName: ReadonlyMap<string, number> = new Map();
  #byNumber: ReadonlyMap<number, string> = new Map();

  constructor(file = '/etc/passwd') {
    this.#file = file;
  }

  /** To be called before a few questions: reads the file again when it has changed. */
  refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.#file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.#stamp) return;
      const entries = readFileSync(this.#file, 'utf8').split('\n').flatMap(entryOfLine);
      this.#stamp = stamp;
      this.#byName = new Map(entries);
      // Of several names for one number, the first is its own, as for getpwuid(3).
      this.#byNumber = new Map(entries.map(([name, number]) => [number, name] as const).reverse());
    } catch {
      // What is there no more is known no more: a name that nobody can vouch for fits nobody.
      this.#stamp = '';
      this.#byName = new Map();
      this.#byNumber = new Map();
    }
  }

  /** Of a name, or a number written out. */
  numberOf(user: string): number | undefined {
    return this.#byName.get(user) ?? (/^\d{1,10}$/.test(user) ? Number(user) : undefined);
  }

  /** Its name, or the number written out. */
  nameOf(uid: number): string {
    return this.#byNumber.get(uid) ?? `${uid}`;
  }
}

/** As the agent file takes it: a number in quotes. */
export function asWritten(user: string): string {
  return /^\d+$/.test(user) ? `"${user}"` : user;
}

/** name:password:uid:gid:... */
function entryOfLine(line: string): readonly (readonly [string, number])[] {
  const [name = '', , uid = ''] = line.split(':');
  return name !== '' && /^\d+$/.test(uid) ? [[name, Number(uid)]] : [];
}

/** Whether this process is in no user namespace that knows some users alone. `proc`: where the kernel tells of processes. */
export function knowsAllUsers(proc = '/proc'): boolean {
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync(`${proc}/self/uid_map`, 'latin1'));
  } catch {
    return false;
  }
}

/** What the kernel says of a user for which a namespace has no number. */
const OVERFLOW = 65_534;

/** Whether, where not all users are known, it may be any that is not. */
export function isUnknownUser(uid: number): boolean {
  return uid === OVERFLOW;
}
