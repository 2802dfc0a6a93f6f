/**
 * Who makes the calls of this host: socket → who made it → who holds it → what that process is. Fails closed: who cannot be
 * known for sure, or is of two services, is of none. All of it asks the kernel and waits, so it has a thread of its own.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { type CallerSocket, type Owner, type OwnerRule, UNKNOWN_OWNER } from '../words/owner.ts';
import { decidedByUser, type Fits, fitsOf, type Kin } from './fits.ts';
import { type Held, type Holder, Holders, MOST_FILES } from './holders.ts';
import { type ProcessFacts, readProcess } from './process.ts';
import { Servers } from './servers.ts';
import { type FoundSocket, findCallers } from './socket-tables.ts';
import { knowsAllUsers, Users } from './users.ts';

/** A line of parents that is longer is cut there. */
const MOST_PARENTS = 64;
/** Files and processes looked at to tell of a process where its user alone decides. */
const LIGHTLY = 2_000;
/** What a process is, where it is not known to hold the socket in question, is good for so long: to be told alike, or looked into. */
const ALIKE_MS = 5_000;

export type FindSockets = (callers: readonly CallerSocket[]) => Promise<readonly (readonly FoundSocket[])[]>;

export class OwnerFinder {
  readonly #users = new Users();
  readonly #holders = new Holders();
  readonly #servers = new Servers(this.#holders);
  readonly #find: FindSockets;
  /** This very process and those it descends from: a service's program that one of these is does not tell it from any other. */
  readonly #above: ReadonlySet<number>;
  /** Whether a user's number may stand for any that the user namespace does not know. */
  readonly #blurred: boolean;
  #rules: readonly OwnerRule[] = [];
  readonly #alike = new Map<number, { readonly untilMs: number; readonly key: string }>();
  /** Read for the callers of now: many have the same parents. */
  readonly #facts = new Map<number, ProcessFacts | undefined>();

  constructor(find: FindSockets = async (callers) => findCallers(callers)) {
    this.#find = find;
    this.#above = parentsOf(process.pid);
    this.#blurred = !knowsAllUsers();
  }

  follow(rules: readonly OwnerRule[]): void {
    this.#rules = rules;
    this.#servers.follow(rules);
    this.#alike.clear();
  }

  /** In the order of the callers. */
  async find(callers: readonly CallerSocket[]): Promise<readonly Owner[]> {
    this.#users.refresh();
    const found = await this.#find(callers);
    const owners = this.#ownersOf(callers, found);
    const isMissed = ({ service, fits, sockets }: Owner, at: number) =>
      service === undefined && fits.length === 0 && sockets !== '' && callers[at]?.known === undefined;
    // Who has begun to listen since is known from its first call on.
    if (!owners.some(isMissed) || !this.#servers.haveOthersCome()) return owners;
    this.#alike.clear();
    return this.#ownersOf(callers, found);
  }

  #ownersOf(callers: readonly CallerSocket[], found: readonly (readonly FoundSocket[])[]): readonly Owner[] {
    this.#facts.clear();
    const owners = callers.map((): Owner => UNKNOWN_OWNER);
    const byUser = new Map<number, { at: number; sockets: readonly FoundSocket[] }[]>();
    for (const [at, all] of found.entries()) {
      const sockets = all.length > 1 ? withoutOwn(all) : all;
      const [first] = sockets;
      // Made by two users, it is nobody's.
      if (first === undefined || sockets.some(({ uid }) => uid !== first.uid) || this.#isUnknown(first.uid)) continue;
      const { known } = callers[at] ?? {};
      if (known !== undefined) {
        owners[at] = { ...UNKNOWN_OWNER, sockets: tokenOf(sockets) };
        continue;
      }
      const asked = byUser.get(first.uid) ?? [];
      asked.push({ at, sockets });
      byUser.set(first.uid, asked);
    }
    let left = MOST_FILES;
    let users = byUser.size;
    for (const [uid, asked] of byUser) {
      const decided = decidedByUser(this.#rules, uid, this.#numberOf);
      const inodes = new Set(asked.flatMap(({ sockets }) => sockets.map(({ inode }) => inode)));
      // Each user has a share, and what others leave of theirs.
      const held = this.#heldBy(uid, inodes, decided !== undefined, Math.floor(left / users--));
      left -= held.looked;
      for (const { at, sockets } of asked) owners[at] = this.#owner(uid, sockets, held, decided);
    }
    return owners;
  }

  readonly #numberOf = (user: string): number | undefined => this.#users.numberOf(user);

  #isUnknown(uid: number): boolean {
    return this.#blurred && uid === OVERFLOW;
  }

  #heldBy(uid: number, inodes: ReadonlySet<string>, decided: boolean, most: number): Held {
    // Of whom the user decides, the process is for the record alone.
    if (decided)
      return this.#holders.of(uid, inodes, { most: Math.min(most, LIGHTLY), lightly: true, alike: () => true });
    const now = performance.now();
    const keyOf = (pid: number) => this.#keyOf(pid, now);
    const alike = (pid: number, found: readonly Holder[]) => {
      const key = keyOf(pid);
      return key !== undefined && found.every((holder) => keyOf(holder.pid) === key);
    };
    return this.#holders.of(uid, inodes, { most, alike });
  }

  /** What service a process would be taken for, which is what it was a moment ago. */
  #keyOf(pid: number, now: number): string | undefined {
    const known = this.#alike.get(pid);
    if (known !== undefined && known.untilMs > now) return known.key;
    if (this.#alike.size > 100_000) this.#alike.clear();
    const self = this.#read(pid);
    const key = self && this.#fitsOf(self).join();
    if (key === undefined) this.#alike.delete(pid);
    else this.#alike.set(pid, { untilMs: now + ALIKE_MS, key });
    return key;
  }

  #owner(uid: number, sockets: readonly FoundSocket[], { holders, complete }: Held, decided: Fits | undefined): Owner {
    const user = this.#users.nameOf(uid);
    const facts: ProcessFacts[] = [];
    let sure = complete;
    const fits = new Map<string, Fits>();
    for (const { inode } of sockets) {
      const those = holders.get(inode) ?? [];
      sure &&= those.length > 0;
      for (const holder of those) {
        const self = readProcess(holder.pid);
        const found = self?.uid === uid ? this.#fitsOf(self) : [];
        // Whoever passed it on or ended meanwhile may be another by its number.
        if (self === undefined || !this.#holders.holds(holder, inode)) sure = false;
        else facts.push(self);
        fits.set(found.join(), found);
      }
    }
    const [only = []] = fits.size === 1 ? fits.values() : [];
    const told = decided ?? (sure ? only : []);
    // Of several processes alike, one is named.
    const [self] = facts;
    return {
      service: told.length === 1 ? told[0] : undefined,
      fits: told.length > 1 ? told : [],
      user,
      pid: self?.pid,
      program: self?.program ?? '',
      unit: self?.unit ?? '',
      sockets: tokenOf(sockets),
    };
  }

  #fitsOf(self: ProcessFacts): Fits {
    const line = this.#servers.mayBe ? lineOf(self, (pid) => this.#read(pid)) : [];
    const serves = (facts: ProcessFacts) => (this.#above.has(facts.pid) ? [] : this.#servers.servedBy(facts));
    const kin: Kin = { self, line, serves };
    return fitsOf(this.#rules, kin, this.#numberOf);
  }

  #read(pid: number): ProcessFacts | undefined {
    if (!this.#facts.has(pid)) this.#facts.set(pid, readProcess(pid));
    return this.#facts.get(pid);
  }
}

/**
 * The process and those it descends from, as long as the user is the same: a child of another user is no kin. Nor is one of another
 * systemd unit: a user's manager that listens in the place of a unit is none of the units that it starts.
 */
function* lineOf(self: ProcessFacts, read: (pid: number) => ProcessFacts | undefined): Generator<ProcessFacts> {
  let last = self;
  for (let count = 0; count < MOST_PARENTS; count++) {
    yield last;
    const next = read(last.parent);
    // A parent is older. One that is not has the number of the parent that ended.
    if (next === undefined || next.uid !== last.uid || next.began > last.began || next.within !== last.within) return;
    last = next;
  }
}

/** Numbers of the process and of all that it descends from, and of the first of all. */
function parentsOf(self: number): ReadonlySet<number> {
  const found = new Set([1]);
  for (let pid = self; pid > 0 && !found.has(pid); pid = readProcess(pid)?.parent ?? 0) found.add(pid);
  return found;
}

/** Whatever their order. */
function tokenOf(sockets: readonly FoundSocket[]): string {
  return sockets
    .map(({ inode, uid }) => `${inode}/${uid}`)
    .sort()
    .join(' ');
}

/** The agent listens at a service's port on many addresses, and calls from none of them. */
function withoutOwn(sockets: readonly FoundSocket[]): readonly FoundSocket[] {
  const own = new Set<string>();
  try {
    for (const file of readdirSync('/proc/self/fd')) own.add(linkOf(file));
  } catch {
    return sockets;
  }
  return sockets.filter(({ inode }) => !own.has(`socket:[${inode}]`));
}

function linkOf(file: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return '';
  }
}

/** What the kernel says of a user for which this namespace has no number. */
const OVERFLOW = 65_534;
