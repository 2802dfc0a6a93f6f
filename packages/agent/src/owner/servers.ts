/**
 * Which processes listen at the targets of services. Whoever does is the service, where the agent file does not say how to know it; they
 * are found again when others listen, and each is looked at before it is believed.
 */
import type { OwnerRule } from '../words/owner.ts';
import type { Fits } from './fits.ts';
import { type Holders, MOST_FILES } from './holders.ts';
import { beganAt, type ProcessFacts } from './process.ts';
import { findListeners } from './socket-tables.ts';

/** Who listens at the targets is looked up again after so long, and whenever one that was found does no more. */
const SERVERS_MS = 1_000;
/** They are looked for, beside that, no sooner than so many times what it took the last time. */
const AGAIN_SHARE = 10;

/** A process that listens at targets of services. */
interface Server {
  readonly began: number;
  readonly services: readonly string[];
  readonly proof: { readonly file: string; readonly inode: string };
}

/** By inode. */
type Listening = ReadonlyMap<string, { readonly uid: number; readonly services: ReadonlySet<string> }>;

export class Servers {
  readonly #holders: Holders;
  #rules: readonly OwnerRule[] = [];
  #found: ReadonlyMap<number, Server> = new Map();
  #foundMs = Number.NEGATIVE_INFINITY;
  /** No walk for them before. */
  #walkMs = Number.NEGATIVE_INFINITY;
  /** No look at who listens, for the sake of one that is not known, before. */
  #lookMs = Number.NEGATIVE_INFINITY;
  /** The sockets that they were found by, and whether all who hold them were. */
  #listened = '';
  #whole: boolean = false;

  constructor(holders: Holders) {
    this.#holders = holders;
  }

  follow(rules: readonly OwnerRule[]): void {
    this.#rules = rules.filter(({ targets }) => targets.length > 0);
    this.#foundMs = Number.NEGATIVE_INFINITY;
    this.#walkMs = Number.NEGATIVE_INFINITY;
    this.#listened = '';
  }

  /** Whether any process may be one. */
  get mayBe(): boolean {
    return this.#found.size > 0 || this.#isLate;
  }

  /** Services at whose targets the process listens now. */
  servedBy({ pid, began }: Pick<ProcessFacts, 'pid' | 'began'>): Fits {
    const now = performance.now();
    if (this.#isLate) this.#find(now);
    const server = this.#found.get(pid);
    if (server === undefined || server.began !== began) return [];
    if (this.#holders.holds({ pid, file: server.proof.file }, server.proof.inode)) return server.services;
    if (now < this.#walkMs) return [];
    this.#find(now);
    const found = this.#found.get(pid);
    return found?.began === began ? found.services : [];
  }

  /** Whether others listen for the services than those that are known, who are known from then on. */
  haveOthersCome(): boolean {
    const now = performance.now();
    if (now < this.#lookMs || this.#rules.length === 0) return false;
    const sockets = this.#listening();
    const ended = performance.now();
    this.#lookMs = ended + AGAIN_SHARE * (ended - now);
    if (listOf(sockets) === this.#listened || now < this.#walkMs) return false;
    this.#find(now, sockets);
    return true;
  }

  get #isLate(): boolean {
    return this.#rules.length > 0 && performance.now() - this.#foundMs > SERVERS_MS;
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

  #find(now: number, sockets: Listening = this.#listening()): void {
    this.#foundMs = now;
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

function listOf(sockets: Listening): string {
  return [...sockets]
    .map(([inode, { uid, services }]) => `${inode}/${uid}/${[...services].join()}`)
    .sort((one, other) => (one < other ? -1 : 1))
    .join(' ');
}
