/**
 * Who makes the calls of this host: socket → who made it → who holds it → what that process is. Fails closed: who cannot be
 * known for sure, or is of two services, is of none. All of it asks the kernel and waits, so it has a thread of its own.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type CallerSocket, type Owner, type OwnerRule, UNKNOWN_OWNER } from '../words/owner.ts';
import { decidedByUser, type Fits, fitsOf, type Kin } from './fits.ts';
import { type Held, type Holder, Holders, MOST_FILES } from './holders.ts';
import { beganAt, type ProcessFacts, readProcess } from './process.ts';
import { type FoundSocket, findCallers, findListeners } from './socket-tables.ts';
import { Users } from './users.ts';

/** A line of parents that is longer is cut there. */
const MOST_PARENTS = 64;
/** Who listens at the targets is looked up again after so long, and whenever one that was found does no more. */
const SERVERS_MS = 1_000;
/** They are looked for, beside that, no sooner than so many times what it took the last time. */
const AGAIN_SHARE = 10;
/** Files and processes looked at to tell of a process where its user alone decides. */
const LIGHTLY = 2_000;
/** What a process is, where it is not known to hold the socket in question, is good for so long: to be told alike, or looked into. */
const ALIKE_MS = 5_000;

/** A process that listens at targets of services. */
interface Server {
  readonly began: number;
  readonly services: readonly string[];
  readonly proof: { readonly file: string; readonly inode: string };
}

export type FindSockets = (callers: readonly CallerSocket[]) => Promise<readonly (readonly FoundSocket[])[]>;

export class OwnerFinder {
  readonly #users = new Users();
  readonly #holders = new Holders();
  readonly #find: FindSockets;
  /** This very process and those it descends from: a service's program that one of these is does not tell it from any other. */
  readonly #above: ReadonlySet<number>;
  /** Whether a user's number may stand for any that the user namespace does not know. */
  readonly #blurred: boolean;
  #rules: readonly OwnerRule[] = [];
  #servers: ReadonlyMap<number, Server> = new Map();
  #serversMs = Number.NEGATIVE_INFINITY;
  /** No walk for servers before. */
  #walkMs = Number.NEGATIVE_INFINITY;
  /** No look at who listens, for the sake of one that is not known, before. */
  #lookMs = Number.NEGATIVE_INFINITY;
  /** The sockets that the servers were found by, and whether all who hold them were. */
  #listened = '';
  #whole: boolean = false;
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
    this.#serversMs = Number.NEGATIVE_INFINITY;
    this.#walkMs = Number.NEGATIVE_INFINITY;
    this.#listened = '';
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
    if (!owners.some(isMissed) || !this.#othersListen()) return owners;
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
    const line = this.#servers.size === 0 && !this.#isLate() ? [] : lineOf(self, (pid) => this.#read(pid));
    const kin: Kin = { self, line, serves: (facts) => this.#served(facts) };
    return fitsOf(this.#rules, kin, this.#numberOf);
  }

  #isLate(): boolean {
    return this.#rules.some(({ targets }) => targets.length > 0) && performance.now() - this.#serversMs > SERVERS_MS;
  }

  #read(pid: number): ProcessFacts | undefined {
    if (!this.#facts.has(pid)) this.#facts.set(pid, readProcess(pid));
    return this.#facts.get(pid);
  }

  #served({ pid, began }: ProcessFacts): Fits {
    if (this.#above.has(pid)) return [];
    const now = performance.now();
    if (this.#isLate()) this.#findServers(now);
    const server = this.#servers.get(pid);
    if (server === undefined || server.began !== began) return [];
    if (this.#holders.holds({ pid, file: server.proof.file }, server.proof.inode)) return server.services;
    if (now < this.#walkMs) return [];
    this.#findServers(now);
    const found = this.#servers.get(pid);
    return found?.began === began ? found.services : [];
  }

  /** Whether others listen for the services than those that are known, who are known from then on. */
  #othersListen(): boolean {
    const now = performance.now();
    if (now < this.#lookMs || !this.#rules.some(({ targets }) => targets.length > 0)) return false;
    const sockets = this.#listening();
    const ended = performance.now();
    this.#lookMs = ended + AGAIN_SHARE * (ended - now);
    if (listOf(sockets) === this.#listened || now < this.#walkMs) return false;
    this.#findServers(now, sockets);
    this.#alike.clear();
    return true;
  }

  #listening(): Listening {
    const places = this.#rules.flatMap(({ service, targets }) => targets.map((target) => ({ ...target, service })));
    const listeners = findListeners(places);
    const sockets = new Map<string, { readonly uid: number; readonly services: Set<string> }>();
    const all = places.map((place, at) => ({ ...place, found: listeners[at] ?? [] }));
    for (const [service, of] of Map.groupBy(all, (place) => place.service)) {
      // Of several addresses for one port, calls go to the first where somebody listens; who listens at the others is not the service.
      const ports = Map.groupBy(of, ({ port, protocol }) => `${port}/${protocol}`);
      const reached = [...ports.values()].flatMap((at) => at.find(({ found }) => found.length > 0)?.found ?? []);
      // One of several users is not, and nobody can tell which.
      if (new Set(reached.map(({ uid }) => uid)).size > 1) continue;
      for (const { inode, uid } of reached) {
        const entry = sockets.get(inode) ?? { uid, services: new Set<string>() };
        entry.services.add(service);
        sockets.set(inode, entry);
      }
    }
    return sockets;
  }

  #findServers(now: number, sockets: Listening = this.#listening()): void {
    this.#serversMs = now;
    const listened = listOf(sockets);
    if (listened === this.#listened && now < this.#walkMs) return;
    if (listened === this.#listened && this.#whole && this.#doServe()) return;
    const servers = new Map<number, Server>();
    const byUser = Map.groupBy(sockets, ([, socket]) => socket.uid);
    this.#listened = listened;
    this.#whole = true;
    let left = MOST_FILES;
    let users = byUser.size;
    for (const [uid, of] of byUser) {
      const inodes = new Set(of.map(([inode]) => inode));
      const { holders, complete, looked } = this.#holders.of(uid, inodes, { most: Math.floor(left / users--) });
      left -= looked;
      this.#whole &&= complete && holders.size === inodes.size;
      for (const [inode, those] of holders) {
        for (const { pid, file } of those) {
          const began = beganAt(pid);
          if (began === undefined) continue;
          const before = servers.get(pid)?.services ?? [];
          const services = [...new Set([...before, ...(sockets.get(inode)?.services ?? [])])];
          servers.set(pid, { began, services, proof: { file, inode } });
        }
      }
    }
    this.#servers = servers;
    const ended = performance.now();
    this.#walkMs = ended + AGAIN_SHARE * (ended - now);
  }

  /** Whether all who served do. */
  #doServe(): boolean {
    return [...this.#servers].every(
      ([pid, { began, proof }]) =>
        beganAt(pid) === began && this.#holders.holds({ pid, file: proof.file }, proof.inode),
    );
  }
}

/** By inode. */
type Listening = ReadonlyMap<string, { readonly uid: number; readonly services: ReadonlySet<string> }>;

function listOf(sockets: Listening): string {
  return [...sockets]
    .map(([inode, { uid, services }]) => `${inode}/${uid}/${[...services].join()}`)
    .sort((one, other) => (one < other ? -1 : 1))
    .join(' ');
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

function knowsAllUsers(): boolean {
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return false;
  }
}
