/**
 * Which processes listen at the targets of services. Whoever does is the service, where the agent file does not say how to know it; they
 * are found again when others listen, and each is looked at before it is believed. Who listens is whose the place was when it was first seen: where
 * another user takes it, nobody is the service until that one has it again.
 */
import type { OwnerRule } from '../words/owner.ts';
import type { Fits } from './fits.ts';
import type { Holders } from './holders.ts';
import { beganAt, type ProcessFacts } from './process.ts';
import type { Holder } from './search.ts';
import { inSlices } from './slices.ts';
import type { FoundSocket, Sockets } from './socket-tables.ts';

/** Who listens at the targets is looked up again after so long, and whenever one that was found does no more. */
const SERVERS_MS = 1_000;
/** They are looked for, beside that, no sooner than so many times what it took the last time. */
const AGAIN_SHARE = 10;

/** systemd, which may listen for a unit before it begins, and hands it the socket. */
const SYSTEMD = 1;
const ROOT = 0;

/** A process that listens at targets of services. */
interface Server {
  readonly began: number;
  readonly services: readonly string[];
  readonly proof: { readonly file: string; readonly inode: string };
}

interface Listened {
  readonly socket: FoundSocket;
  readonly services: Set<string>;
}

/** By inode. */
type Listening = ReadonlyMap<string, Listened>;

/** Processes of the control group that a socket was made in; undefined where that is not known, or is no narrower. */
export type GroupOf = (socket: FoundSocket) => readonly number[] | undefined;

export class Servers {
  readonly #holders: Holders;
  readonly #sockets: Pick<Sockets, 'listeners'>;
  readonly #groupOf: GroupOf;
  #rules: readonly OwnerRule[] = [];
  /**
   * User of who listened for a service when that was seen first. What the service's ports and targets are, and whether its rule is in force, changes nothing of it:
   * who takes the place meanwhile is not the service.
   */
  readonly #users = new Map<string, number>();
  /** By service, the `match` that it had last. */
  readonly #said = new Map<string, string | undefined>();
  #found: ReadonlyMap<number, Server> = new Map();
  #foundMs = Number.NEGATIVE_INFINITY;
  /** No walk for them before. */
  #walkMs = Number.NEGATIVE_INFINITY;
  /** No look at who listens, for the sake of one that is not known, before. */
  #lookMs = Number.NEGATIVE_INFINITY;
  /** The sockets that they were found by, and whether all who hold them were. */
  #listened = '';
  #whole: boolean = false;
  #unlooked: readonly number[] = [];

  constructor(holders: Holders, sockets: Pick<Sockets, 'listeners'>, groupOf: GroupOf = () => undefined) {
    this.#holders = holders;
    this.#sockets = sockets;
    this.#groupOf = groupOf;
  }

  follow(rules: readonly OwnerRule[]): void {
    this.#rules = rules.filter(({ targets }) => targets.length > 0);
    for (const { service, match, first } of rules) {
      const said = JSON.stringify(match);
      // Where the agent file says otherwise whose it is, who is there now is the first.
      if (match !== undefined && said !== this.#said.get(service)) this.#users.delete(service);
      this.#said.set(service, said);
      if (first !== undefined) this.#users.set(service, first);
    }
    this.#foundMs = Number.NEGATIVE_INFINITY;
    this.#walkMs = Number.NEGATIVE_INFINITY;
    this.#listened = '';
    this.#unlooked = [];
  }

  /** Whether any process may be one, as is known. */
  get mayBe(): boolean {
    return this.#found.size > 0;
  }

  /** Users who have so many files open that who serves may not be known of them. */
  get unlooked(): readonly number[] {
    return this.#unlooked;
  }

  /** Services at whose targets the process listens now, as is known. */
  servedBy({ pid, began }: Pick<ProcessFacts, 'pid' | 'began'>): Fits {
    const server = this.#found.get(pid);
    if (server === undefined || server.began !== began) return [];
    return this.#holders.holds({ pid, file: server.proof.file }, server.proof.inode) ? server.services : [];
  }

  /** Before who serves is asked about: looks at who listens, where that was long ago. */
  async refresh(): Promise<void> {
    const now = performance.now();
    if (this.#rules.length > 0 && now - this.#foundMs > SERVERS_MS) await this.#find(now, await this.#listening());
  }

  /** Whether others listen for the services than those that are known, who are known from then on. */
  async haveOthersCome(): Promise<boolean> {
    const now = performance.now();
    if (now < this.#lookMs || this.#rules.length === 0) return false;
    const sockets = await this.#listening();
    const ended = performance.now();
    this.#lookMs = ended + AGAIN_SHARE * (ended - now);
    if (now < this.#walkMs || (listOf(sockets) === this.#listened && this.#whole && this.#doServe())) return false;
    await this.#find(now, sockets);
    return true;
  }

  async #listening(): Promise<Listening> {
    const places = this.#rules.flatMap(({ service, targets }) => targets.map((target) => ({ ...target, service })));
    const listeners = await this.#sockets.listeners(places);
    const sockets = new Map<string, Listened>();
    const all = places.map((place, at) => ({ ...place, found: listeners[at] ?? [] }));
    for (const [service, of] of Map.groupBy(all, (place) => place.service)) {
      for (const socket of this.#ofService(service, of)) {
        const entry = sockets.get(socket.inode) ?? { socket, services: new Set<string>() };
        entry.services.add(service);
        sockets.set(socket.inode, entry);
      }
    }
    return sockets;
  }

  /** Those by whom a service is known of all that listen at its targets. */
  #ofService(
    service: string,
    of: readonly { readonly port: number; readonly protocol: string; readonly found: readonly FoundSocket[] }[],
  ): readonly FoundSocket[] {
    const users = new Set(of.flatMap(({ found }) => found.map(({ uid }) => uid)));
    // At several addresses for one port, two users may listen; one of them is not the service, and nobody can tell which.
    if (!this.#users.has(service) && users.size === 1) for (const uid of users) this.#users.set(service, uid);
    const uid = this.#users.get(service);
    // Of several addresses for one port, calls go to the first where somebody listens; who listens at the others is not the service.
    const ports = Map.groupBy(of, ({ port, protocol }) => `${port}/${protocol}`);
    const reached = [...ports.values()].map(
      (at) => at.map(({ found }) => found).find((found) => found.some((one) => one.uid === uid)) ?? [],
    );
    const found = reached.flat();
    return found.every((socket) => socket.uid === uid) ? found : [];
  }

  async #find(now: number, sockets: Listening): Promise<void> {
    this.#foundMs = now;
    const listened = listOf(sockets);
    if (listened === this.#listened && now < this.#walkMs) return;
    if (listened === this.#listened && this.#whole && this.#doServe()) return;
    this.#listened = listened;
    const servers = new Map<number, Server>();
    const unlooked = new Set<number>();
    let whole = true;
    const makers = Map.groupBy(sockets.values(), ({ socket }) => `${socket.uid} ${socket.group ?? ''}`);
    for (const of of makers.values()) {
      const [first] = of;
      if (first === undefined) continue;
      const group = () => this.#groupOf(first.socket);
      const inodes = new Set(of.map(({ socket }) => socket.inode));
      const held = new Map(await inSlices(this.#holders.walk(inodes, { uid: first.socket.uid, group }, { all: true })));
      // What systemd made, a process of whatever user has from it; nobody, as long as it has not begun.
      const handed = new Set([...inodes].filter((inode) => first.socket.uid === ROOT && isSystemds(held.get(inode))));
      for (const inode of handed) held.delete(inode);
      if (handed.size > 0) {
        const found = await inSlices(this.#holders.handed(handed, SYSTEMD));
        for (const [inode, those] of found.held) held.set(inode, those);
        for (const uid of found.unlooked) unlooked.add(uid);
      }
      whole &&= held.size === inodes.size && unlooked.size === 0;
      for (const [inode, those] of held) {
        for (const { pid, file } of those) {
          const began = beganAt(pid);
          if (began === undefined) continue;
          const before = servers.get(pid)?.services ?? [];
          const services = [...new Set([...before, ...(sockets.get(inode)?.services ?? [])])];
          servers.set(pid, { began, services, proof: { file, inode } });
        }
      }
    }
    this.#whole = whole;
    this.#unlooked = [...unlooked];
    this.#found = servers;
    const ended = performance.now();
    this.#walkMs = ended + AGAIN_SHARE * (ended - now);
  }

  /** Whether all who served do. */
  #doServe(): boolean {
    return [...this.#found].every(
      ([pid, { began, proof }]) =>
        beganAt(pid) === began && this.#holders.holds({ pid, file: proof.file }, proof.inode),
    );
  }
}

/** Root's may not be seen. */
function isSystemds(holders: readonly Holder[] = []): boolean {
  return holders.length === 0 || holders.some(({ pid }) => pid === SYSTEMD);
}

function listOf(sockets: Listening): string {
  return [...sockets.values()]
    .map(({ socket: { inode, uid }, services }) => `${inode}/${uid}/${[...services].join()}`)
    .sort((one, other) => (one < other ? -1 : 1))
    .join(' ');
}
