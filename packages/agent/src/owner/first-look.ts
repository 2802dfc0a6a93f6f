/**
 * Who makes a call, found by the thread that takes it, at once: where the socket's maker decides, no other thread need be woken. What is not
 * decided so, and all that takes a walk, is for the thread that may wait. Fails closed, as that does.
 */
import type { HostPort } from '@weft/proto';
import { type CallerSocket, type Owner, type OwnerRule, UNKNOWN_OWNER } from '../words/owner.ts';
import { ControlGroups } from './control-groups.ts';
import { decidedByMaker, type Fits, type Maker } from './fits.ts';
import type { KernelSockets } from './kernel-sockets.ts';
import { KnownHolders, type SpareFiles } from './known-holders.ts';
import type { Learned } from './learned.ts';
import { ownerOf } from './owner-of.ts';
import { type ProcessFacts, unitOf } from './process.ts';
import type { FoundSocket } from './socket-tables.ts';
import { SpareTime } from './spare-time.ts';
import { isUnknownUser, knowsAllUsers, Users } from './users.ts';

/** Whose socket decides what it is of, where the other thread may find which process it is. */
export interface Unnamed {
  readonly owner: Owner;
  readonly socket: FoundSocket;
}

/** Files looked at to tell of a process where its socket alone decides. */
const MOST_FILES = 48;
/** Of what is looked up for the record alone, a rest makes up for so long: a twentieth of it is for some hundred calls. */
const RESTED_MS = 1_000;
/** The kernel takes some microseconds. What takes longer counts as waiting, of which there may be no more than a twentieth of the time. */
const PROMPT_MS = 1;
/** What it takes to ask the other thread at all. */
const ASK_MS = 0.25;
/** A group that has no path may have one later. */
const PATHLESS_MS = 1_000;
/** What the files say of users and groups is good for so long: calls come fast. */
const FRESH_MS = 50;
const MOST_GROUPS = 1_024;

export class FirstLook {
  readonly #kernel: KernelSockets;
  readonly #users = new Users();
  readonly #holders: KnownHolders;
  readonly #groups = new ControlGroups();
  /** By its number, when it was found to have no path that is known. */
  readonly #pathless = new Map<string, number>();
  readonly #blurred = !knowsAllUsers();
  /** By the number of the group, from one look at the files. */
  readonly #paths = new Map<string, string | undefined>();
  #freshMs = Number.NEGATIVE_INFINITY;
  #rules: readonly OwnerRule[] = [];
  /** For looks at processes, by this thread and by the other. */
  readonly #toLook = new SpareTime(RESTED_MS);
  readonly #toAsk = new SpareTime();
  readonly #toWait = new SpareTime();

  /** `kernel`: proven. */
  constructor(kernel: KernelSockets, files?: SpareFiles) {
    this.#kernel = kernel;
    this.#holders = new KnownHolders(undefined, files);
  }

  follow(rules: readonly OwnerRule[]): void {
    this.#rules = rules;
  }

  /**
   * The owner, with its socket where the other thread is to be asked for its process, for the record; the caller's socket alone where more has to be looked at;
   * undefined where this thread knows nothing.
   */
  look({ protocol, client, called, known }: CallerSocket): Owner | Unnamed | FoundSocket | undefined {
    if (protocol !== 'tcp' || known !== undefined) return undefined;
    const socket = this.#connection(client, called);
    if (socket === 'unknown') return undefined;
    if (socket === 'none' || (this.#blurred && isUnknownUser(socket.uid))) return UNKNOWN_OWNER;
    this.#refresh();
    const found = this.#pathOf(socket);
    // Where the group decides nothing, it is for the record.
    const path = found === 'unasked' ? undefined : found;
    const decided = decidedByMaker(this.#rules, new SocketMaker(socket.uid, path, this.#groups), this.#numberOf);
    if (decided === undefined) return socket;
    const process = found === 'unasked' ? this.#asked() : this.#processOf(socket, path);
    const owner = this.#ownerOf(socket, path, decided, process === 'unasked' ? undefined : process);
    return process === 'unasked' ? { owner, socket } : owner;
  }

  /** `unknown` also where the kernel makes who asks wait: before Linux 6.9 one question of the whole machine is answered at a time. */
  #connection(client: HostPort, called: HostPort): FoundSocket | 'none' | 'unknown' {
    const begun = performance.now();
    if (!this.#toWait.allows(begun)) return 'unknown';
    const found = this.#kernel.connection(client, called);
    const ended = performance.now();
    if (ended - begun > PROMPT_MS) this.#toWait.spend(ended - begun, ended);
    return found;
  }

  learn({ group, holder, tookMs = 0, restMs = 0 }: Learned): void {
    const now = performance.now();
    this.#toAsk.restUntil(now + restMs);
    this.#toAsk.spend(tookMs, now);
    if (holder !== undefined) this.#holders.learn(holder);
    if (group === undefined) return;
    const [number, path] = group;
    if (path !== undefined) this.#groups.learn(number, path);
    else {
      if (this.#pathless.size >= MOST_GROUPS) this.#pathless.clear();
      this.#pathless.set(number, now);
    }
  }

  /** `sockets`: as an owner tells them. */
  left(pid: number, sockets: string): void {
    this.#holders.left(pid, sockets.slice(0, sockets.indexOf('/')));
  }

  close(): void {
    this.#kernel.close();
    this.#holders.close();
  }

  readonly #numberOf = (user: string): number | undefined => this.#users.numberOf(user);

  #refresh(): void {
    const now = performance.now();
    if (now < this.#freshMs) return;
    this.#freshMs = now + FRESH_MS;
    this.#users.refresh();
    this.#paths.clear();
  }

  #pathOf({ group }: FoundSocket): string | undefined {
    if (group === undefined) return undefined;
    if (this.#paths.has(group)) return this.#paths.get(group);
    const path = this.#lookedUp(group);
    if (path !== 'unasked') this.#paths.set(group, path);
    return path;
  }

  /** `unasked`: the other thread may know it. */
  #lookedUp(group: string): string | undefined {
    const path = this.#groups.knownPathOf(group);
    if (path !== undefined) return path;
    const sinceMs = this.#pathless.get(group) ?? Number.NEGATIVE_INFINITY;
    return performance.now() - sinceMs < PATHLESS_MS ? undefined : 'unasked';
  }

  /** Which process it is, as far as that takes little of the time: for the record. `unasked`: the other thread may find it. */
  #processOf({ inode, uid }: FoundSocket, path: string | undefined): ProcessFacts | undefined | 'unasked' {
    const begun = performance.now();
    if (!this.#toLook.allows(begun)) return undefined;
    const found = this.#holders.find(inode, uid, path, MOST_FILES);
    const ended = performance.now();
    this.#toLook.spend(ended - begun, ended);
    if (found !== undefined) return found;
    return this.#toAsk.allows(ended) ? this.#asked() : undefined;
  }

  /** The other thread is: what that takes beside is told when it answers. */
  #asked(): 'unasked' {
    this.#toAsk.spend(ASK_MS, performance.now());
    return 'unasked';
  }

  #ownerOf(socket: FoundSocket, path: string | undefined, told: Fits, process: ProcessFacts | undefined): Owner {
    return ownerOf(this.#users, [socket], told, process, path === undefined ? '' : unitOf(path));
  }
}

/** Whether there are other groups is asked where that makes a difference. */
class SocketMaker implements Maker {
  readonly uid: number;
  readonly group: string | undefined;
  readonly #groups: ControlGroups;

  constructor(uid: number, group: string | undefined, groups: ControlGroups) {
    this.uid = uid;
    this.group = group;
    this.#groups = groups;
  }

  get only(): boolean {
    return this.#groups.alone;
  }
}
