/**
 * Who makes the calls of this host: socket → who made it → who holds it → what that process is. Fails closed: who cannot be
 * known for sure, or is of two services, is of none. All of it asks the kernel and waits, so it has a thread of its own.
 */
import { type CallerSocket, type Owner, type OwnerRule, type ProcessOwner, UNKNOWN_OWNER } from '../words/owner.ts';
import { type Answer, type Asked, type Group, grouped, inodesOf, unseenOf } from './asked.ts';
import { ControlGroups } from './control-groups.ts';
import { decidedByMaker, type Fit, type Fits, fitOf, type Kin } from './fits.ts';
import { Holders, type Makers } from './holders.ts';
import type { FoundHolder } from './known-holders.ts';
import { learnedOf } from './learned.ts';
import { lineOf } from './line.ts';
import type { Moment } from './moment.ts';
import { OwnSockets } from './own-sockets.ts';
import { hiddenBy, ownerOf, tokenOf } from './owner-of.ts';
import { isElsewhere, isHidden, mayHaveMade, type ProcessFacts, parentsOf, readProcess, unitOf } from './process.ts';
import type { Held, Holder } from './search.ts';
import { Servers } from './servers.ts';
import { inSlices } from './slices.ts';
import { MOST_SLOW, SlowCallers } from './slow-callers.ts';
import { type FoundSocket, type Sockets, SocketTables } from './socket-tables.ts';
import { SpareTime } from './spare-time.ts';
import { isUnknownUser, knowsAllUsers, Users } from './users.ts';

/** Files looked at to tell of a process where its socket alone decides, and those of one walk for that. */
const LIGHTLY = 48;
const LIGHT_WALK = 2_000;
/** What a process is, where it is not known to hold the socket in question, is good for so long: to be told alike, or looked into. */
const ALIKE_MS = 5_000;
/**
 * Milliseconds after which is looked again, where a process could not be looked into: whatever begins as another user (su, sshd, cron, a service) cannot be between
 * setuid(2) and execve(2).
 */
const AGAIN_MS = [5, 20, 75];

/** Finds who holds sockets. */
type Look = (group: Group, inodes: ReadonlySet<string>, moment: Moment) => Held;

/** Who is asked about once more, after so long. */
interface Again {
  readonly group: Group;
  readonly asked: Asked;
  readonly waitMs: number;
}

export class OwnerFinder {
  readonly #users = new Users();
  readonly #groups: ControlGroups;
  readonly #holders = new Holders();
  readonly #servers: Servers;
  readonly #sockets: Sockets;
  /** This very process and those it descends from: a service's program that one of these is does not tell it from any other. */
  readonly #above: ReadonlySet<number>;
  /** Whether a user's number may stand for any that the user namespace does not know. */
  readonly #blurred: boolean;
  #rules: readonly OwnerRule[] = [];
  readonly #alike = new Map<number, { readonly untilMs: number; readonly key: string }>();
  /** Read for the callers of now: many are of one process, or have the same parents. */
  readonly #facts = new Map<number, ProcessFacts | undefined>();
  readonly #slow = new SlowCallers();
  #walks: boolean = false;
  readonly #toLook = new SpareTime();
  /** To be looked for again. */
  #waiting = 0;
  readonly #quickly: Look = (group, inodes, moment) => this.#holders.quick(inodes, this.#makersOf(group), { moment });
  readonly #own = new OwnSockets();

  constructor(sockets: Sockets = new SocketTables(), groups: ControlGroups = new ControlGroups()) {
    this.#sockets = sockets;
    this.#groups = groups;
    this.#servers = new Servers(this.#holders, sockets, (socket) => this.#membersOf(this.#pathOf(socket)));
    this.#above = parentsOf(process.pid);
    this.#blurred = !knowsAllUsers();
  }

  follow(rules: readonly OwnerRule[]): void {
    this.#rules = rules;
    this.#servers.follow(rules);
    this.#alike.clear();
  }

  /** Users who have so many files open that who of them serves what systemd listens for may not be known. */
  get unlooked(): readonly string[] {
    return this.#servers.unlooked.map((uid) => this.#users.nameOf(uid));
  }

  /** In the order of the callers. */
  async find(callers: readonly CallerSocket[]): Promise<readonly Owner[]> {
    const owners = callers.map(() => Promise.withResolvers<Owner>());
    await this.answer(callers, (at, owner) => owners[at]?.resolve(owner));
    return await Promise.all(owners.map(({ promise }) => promise));
  }

  /**
   * Each is answered when it is known, some before and some after this is done: then others may be asked about. `seen`: of some callers of TCP the socket,
   * where whoever asks has found it.
   */
  async answer(
    callers: readonly CallerSocket[],
    answered: (at: number, ...answer: Parameters<Answer>) => void,
    seen: readonly (FoundSocket | undefined)[] = [],
  ): Promise<void> {
    this.#users.refresh();
    const found = await this.#find(callers, seen);
    const groups = new Map<string, Group>();
    for (const [at, caller] of callers.entries()) {
      const all = found[at] ?? [];
      const sockets = all.length > 1 ? this.#own.without(all) : all;
      const [first] = sockets;
      // Made by two users, it is nobody's.
      if (first === undefined || sockets.some(({ uid }) => uid !== first.uid) || this.#isUnknown(first.uid))
        answered(at, UNKNOWN_OWNER);
      else if (caller.known !== undefined) answered(at, { ...UNKNOWN_OWNER, sockets: tokenOf(sockets) });
      else {
        const path = sockets.every(({ group }) => group === first.group) ? this.#pathOf(first) : undefined;
        const key = `${first.uid} ${path}`;
        const group = groups.get(key) ?? { uid: first.uid, path, asked: [] };
        groups.set(key, group);
        group.asked.push({ sockets, answer: (...answer) => answered(at, ...answer) });
      }
    }
    await this.#tell([...groups.values()], this.#quickly);
  }

  async #find(callers: readonly CallerSocket[], seen: readonly (FoundSocket | undefined)[]) {
    const rest = callers.filter((_, at) => seen[at] === undefined);
    const others = rest.length === 0 ? [] : await this.#sockets.callers(rest);
    let next = 0;
    return callers.map((_, at) => {
      const socket = seen[at];
      return socket === undefined ? (others[next++] ?? []) : [socket];
    });
  }

  /** What a process would be taken for if it called now; undefined where there is none of that number. */
  async look(pid: number): Promise<ProcessOwner | undefined> {
    this.#users.refresh();
    await this.#servers.refresh();
    this.#facts.clear();
    const self = this.#read(pid);
    if (self === undefined) return undefined;
    const { uid, unit, program } = self;
    const group = this.#groups.alone ? self.cgroups[0] : undefined;
    const decided = decidedByMaker(this.#rules, { uid, group, only: this.#groups.alone }, this.#numberOf);
    const hidden = decided === undefined && isHidden(pid);
    const unknown = hidden || this.#isUnknown(uid);
    const { fits, by }: Fit = unknown ? { fits: [], by: undefined } : this.#fitOf(self);
    return {
      ...{ pid, program, unit, hidden, elsewhere: isElsewhere(pid) },
      user: this.#isUnknown(uid) ? '' : this.#users.nameOf(uid),
      service: fits.length === 1 ? fits[0] : undefined,
      fits: fits.length > 1 ? fits : [],
      by: typeof by === 'object' ? { listener: by.pid } : by,
    };
  }

  /** Whoever is not found is walked for. */
  async #tell(groups: readonly Group[], look: Look, isLast = false): Promise<void> {
    const open = groups.filter((group) => !this.#decide(group));
    if (open.length === 0) return;
    await this.#servers.refresh();
    let missed = this.#judge(open, look, isLast);
    // Who has begun to listen since is known from its first call on.
    if (missed.length > 0 && (await this.#servers.haveOthersCome())) {
      this.#alike.clear();
      missed = this.#judge(grouped(missed), look, isLast);
    }
    for (const { asked, owner } of missed) asked.answer(owner);
  }

  /** What the sockets' makers decide alone: the process is for the record. */
  #decide(group: Group): boolean {
    const maker = { uid: group.uid, group: group.path, only: this.#groups.alone };
    const decided = decidedByMaker(this.#rules, maker, this.#numberOf);
    if (decided === undefined) return false;
    this.#facts.clear();
    const begun = performance.now();
    const restMs = this.#toLook.restMs(begun);
    const held = this.#lightly(group);
    const tookMs = (performance.now() - begun) / group.asked.length;
    for (const { sockets, answer } of group.asked) {
      const [first] = this.#holdersOf(group, sockets, held);
      const unit = group.path === undefined ? '' : unitOf(group.path);
      const learned = { ...learnedOf(sockets, group.path, first?.holder), tookMs, restMs };
      answer(this.#ownerOf(sockets, decided, first?.facts, unit), learned);
    }
    return true;
  }

  /** Who holds them, as far as that takes little of the time. */
  #lightly(group: Group): Held {
    const begun = performance.now();
    if (!this.#toLook.allows(begun)) return new Map();
    const inodes = inodesOf(group.asked);
    let held = this.#holders.quick(inodes, this.#makersOf(group), { most: LIGHTLY });
    if (held.size < inodes.size) {
      const walk = this.#holders.walk(inodes, this.#makersOf(group), { most: LIGHT_WALK });
      let step = walk.next();
      while (!step.done) step = walk.next();
      held = step.value;
    }
    const ended = performance.now();
    this.#toLook.spend(ended - begun, ended);
    return held;
  }

  /** Answers those who are of a service, or not to be found; the others may be of one that is not known yet. */
  #judge(groups: readonly Group[], look: Look, isLast: boolean) {
    const missed: { readonly group: Group; readonly asked: Asked; readonly owner: Owner }[] = [];
    const again: Again[] = [];
    const moment = this.#holders.moment(groups.length);
    for (const group of groups) {
      this.#facts.clear();
      const held = look(group, inodesOf(group.asked), moment);
      const isFound = ({ sockets }: Asked) => sockets.every(({ inode }) => held.has(inode));
      const slow = group.asked.filter((asked) => !isLast && !isFound(asked));
      if (slow.length > 0) this.#walkFor({ ...group, asked: slow });
      const asked = group.asked.filter((one) => !slow.includes(one));
      const makers = this.#makersOf(group);
      const { others, hidden } = this.#othersOf(held, makers, unseenOf(asked), moment);
      for (const one of asked) {
        const { fits, facts, sure } = this.#fitsOfHolders(group, one.sockets, held, others);
        const unseen = new Set(one.sockets.flatMap(({ inode }) => [...(hidden.get(inode) ?? [])]));
        const [by] = unseen;
        if (sure && fits.length > 0 && by !== undefined) {
          const waitMs = this.#waitMs(one);
          if (waitMs !== undefined) again.push({ group, asked: { ...one, unseen }, waitMs });
          else one.answer({ ...this.#ownerOf(one.sockets, [], facts), hiddenBy: hiddenBy(fits, by) });
          continue;
        }
        const owner = this.#ownerOf(one.sockets, sure ? fits : [], facts);
        if (owner.service === undefined && owner.fits.length === 0) missed.push({ group, asked: one, owner });
        else one.answer(owner);
      }
    }
    this.#lookAgain(again);
    return missed;
  }

  /** How long until it is looked for once more; undefined where it is not. */
  #waitMs({ again = 0 }: Asked): number | undefined {
    return this.#waiting < MOST_SLOW ? AGAIN_MS[again] : undefined;
  }

  #lookAgain(again: readonly Again[]): void {
    for (const [waitMs, those] of Map.groupBy(again, (each) => each.waitMs)) {
      this.#waiting += those.length;
      const then = those.map((each) => ({ ...each, asked: { ...each.asked, again: (each.asked.again ?? 0) + 1 } }));
      setTimeout(() => {
        this.#waiting -= those.length;
        void this.#tell(grouped(then), this.#quickly);
      }, waitMs);
    }
  }

  /**
   * Who else holds what is held by processes of services; nobody is asked about what those of none hold. For one service after the other: a holder of one call's
   * socket is another's stranger. `hidden`: of whose others these could not be looked at.
   */
  #othersOf(held: Held, makers: Makers, unseen: ReadonlySet<number>, moment: Moment) {
    const now = performance.now();
    const holders = new Set([...held.values()].flat().map(({ pid }) => pid));
    const others = new Map<string, Holder[]>();
    const hidden = new Map<string, ReadonlySet<number>>();
    const services = [...Map.groupBy(holders, (pid) => this.#keyOf(pid, now))].filter(([key]) => key !== '');
    moment.divide(services.length);
    for (const [key, pids] of services) {
      const theirs = new Map(
        [...held].flatMap(([inode, those]) => {
          const of = those.filter(({ pid }) => pids.includes(pid));
          return of.length > 0 ? [[inode, of] as const] : [];
        }),
      );
      const isAlike = (pid: number) => key !== undefined && this.#keyOf(pid, now) === key;
      const kin = pids.flatMap((pid) => this.#parentsOf(pid));
      const found = this.#holders.strangers(theirs, makers, kin, isAlike, { unseen, moment });
      for (const [inode, those] of found.held) others.set(inode, [...(others.get(inode) ?? []), ...those]);
      for (const inode of theirs.keys()) hidden.set(inode, new Set([...(hidden.get(inode) ?? []), ...found.hidden]));
    }
    return { others, hidden };
  }

  #parentsOf(pid: number): readonly number[] {
    const self = this.#read(pid);
    return self === undefined ? [] : [...lineOf(self, (above) => this.#read(above))].map((one) => one.pid);
  }

  /** What all who hold the sockets are, if one and the same. */
  #fitsOfHolders(group: Group, sockets: readonly FoundSocket[], held: Held, others: Held) {
    const fits = new Map<string, Fits>();
    let sure = true;
    let facts: ProcessFacts | undefined;
    for (const { inode } of sockets) {
      const those = [...(held.get(inode) ?? []), ...(others.get(inode) ?? [])];
      sure &&= those.length > 0;
      for (const holder of those) {
        const self = this.#provenOf(group, holder, inode);
        const found = self === undefined ? [] : this.#fitsOf(self);
        sure &&= self !== undefined;
        facts ??= self;
        fits.set(found.join(), found);
      }
    }
    const [only = []] = fits.size === 1 ? fits.values() : [];
    return { fits: only, facts, sure };
  }

  #holdersOf(group: Group, sockets: readonly FoundSocket[], held: Held) {
    return sockets.flatMap(({ inode }) =>
      (held.get(inode) ?? []).flatMap((found) => {
        const facts = this.#provenOf(group, found, inode);
        if (facts === undefined) return [];
        const holder: FoundHolder = { ...found, inode, began: facts.began, uid: facts.uid };
        return [{ facts, holder }];
      }),
    );
  }

  /** What it is that holds the socket, and did so before and after that was read; undefined where it is not of the maker's user and control group. */
  #provenOf({ uid, path }: Group, holder: Holder, inode: string): ProcessFacts | undefined {
    const self = this.#read(holder.pid);
    // Whoever passed it on or ended meanwhile may be another by its number.
    if (self?.uid !== uid || !this.#holders.holds(holder, inode)) return undefined;
    return mayHaveMade(self, path) ? self : undefined;
  }

  #walkFor(group: Group): void {
    if (!this.#slow.add(group)) {
      for (const { answer, sockets } of group.asked) answer(this.#ownerOf(sockets, [], undefined));
      return;
    }
    if (!this.#walks) void this.#walk();
  }

  async #walk(): Promise<void> {
    this.#walks = true;
    for (let group = this.#slow.next(); group !== undefined; group = this.#slow.next()) {
      const held = await inSlices(this.#holders.walk(inodesOf(group.asked), this.#makersOf(group)));
      await this.#tell([group], () => held, true);
    }
    this.#walks = false;
  }

  readonly #numberOf = (user: string): number | undefined => this.#users.numberOf(user);

  #isUnknown(uid: number): boolean {
    return this.#blurred && isUnknownUser(uid);
  }

  #pathOf({ group }: FoundSocket): string | undefined {
    return group === undefined ? undefined : this.#groups.pathOf(group);
  }

  #makersOf({ uid, path }: Pick<Group, 'uid' | 'path'>): Makers {
    return { uid, group: () => this.#membersOf(path) };
  }

  #membersOf(path: string | undefined): readonly number[] | undefined {
    return path === undefined ? undefined : this.#groups.processesIn(path);
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

  #ownerOf(sockets: readonly FoundSocket[], told: Fits, self: ProcessFacts | undefined, unit?: string): Owner {
    return ownerOf(this.#users, sockets, told, self, unit);
  }

  #fitsOf(self: ProcessFacts): Fits {
    return this.#fitOf(self).fits;
  }

  #fitOf(self: ProcessFacts): Fit {
    const line = this.#servers.mayBe ? lineOf(self, (pid) => this.#read(pid)) : [];
    const serves = (facts: ProcessFacts) => (this.#above.has(facts.pid) ? [] : this.#servers.servedBy(facts));
    const kin: Kin = { self, line, serves };
    return fitOf(this.#rules, kin, this.#numberOf);
  }

  #read(pid: number): ProcessFacts | undefined {
    if (!this.#facts.has(pid)) this.#facts.set(pid, readProcess(pid));
    return this.#facts.get(pid);
  }
}
