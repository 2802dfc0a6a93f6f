/**
 * Who comes to `run.sock`: sandboxes, and commands that are about to begin one. Node can neither be told who is at the other end
 * of a socket nor be handed a socket by a stranger, so a small Perl program is between. It is there from the first who comes,
 * and passes both on by the channel that Node has for its children.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, renameSync, rmSync } from 'node:fs';
import net from 'node:net';
import type { Logger } from 'pino';
import { endAtOnceOnly } from '../bytes/end-at-once.ts';
import { closeHandle, unblockHandle } from '../bytes/handle.ts';
import { descriptorOf } from '../bytes/inside/known.ts';
import { PERL } from '../owner/diagnosis.ts';
import { RELAY_PROGRAM } from './perl/relay.ts';

/** One who came. */
export interface Visitor {
  /** By the kernel's word. */
  readonly uid: number;
  readonly pid: number;
  /** A line without its end. */
  say(line: string): void;
  /** It is known from now on: more than its first line is heard, and its sockets are taken. */
  greet(): void;
  /** What was said before goes out first. */
  close(): void;
}

export interface VisitorEvents {
  /** A socket comes with a line alone. */
  line(line: string, handle: object | undefined): void;
  /** Once, and nothing after it. */
  closed(): void;
}

export interface RelayOptions {
  /** Of the unix socket; whatever socket an agent before left there is removed. */
  readonly path: string;
  readonly arrived: (visitor: Visitor) => VisitorEvents;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told what is wrong, and undefined when it is right again. */
  readonly failed: (reason: string | undefined) => void;
}

/** What the Perl program says. */
interface Told {
  readonly connection: number;
  readonly user?: number;
  readonly process?: number;
  readonly line?: string;
  readonly closed?: true;
}

/** After one that ended others are awaited so long later: at first, and at most where it ends again and again. */
const AGAIN_MS = 1_000;
const MOST_AGAIN_MS = 60_000;
/** One that ran so long ends for another reason than the one before. */
const SOUND_MS = 60_000;
/** Of a path, by unix(7). */
const MOST_PATH = 100;
/** Who may wait at the door to be taken, as at that of the Perl program. */
const MOST_AT_DOOR = 64;

export class Relay {
  readonly #options: RelayOptions;
  readonly #visitors = new Map<number, VisitorEvents>();
  #door: net.Server | undefined;
  /** Who came there and waits for the program. */
  readonly #came: net.Socket[] = [];
  /** The door's file: another agent may have put its own in that place since. */
  #own: string | undefined;
  #child: ChildProcess | undefined;
  #againMs: number = AGAIN_MS;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { path, signal, failed } = options;
    if (Buffer.byteLength(path) > MOST_PATH) {
      failed(`the path ${path} is longer than the ${MOST_PATH} bytes of a unix socket's`);
      return;
    }
    signal.addEventListener('abort', () => this.#close(), { once: true });
    if (!signal.aborted) this.#open();
  }

  /** Process of the Perl program, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Until somebody comes, there is no Perl. Under another name first: Node takes a name away with what listened there, and whoever comes while
   * the Perl program takes the place is to find somebody at all times. Where there is no Perl, `weft run` says so by itself, and nobody else has
   * anything to come for.
   */
  #open(): void {
    const { path, failed } = this.#options;
    if (!existsSync(PERL)) {
      this.#openLater();
      return;
    }
    const made = `${path}.door`;
    // Nothing is read: who sent a file along would have it closed here.
    const door = net.createServer({ pauseOnConnect: true }, (visitor) => {
      visitor.on('error', () => {});
      // Others wait beside the first where the program cannot be started.
      if (this.#came.push(visitor) === 1) this.#start(door);
    });
    const fail = (why: string) => {
      failed(`cannot listen on ${path}: ${why}`);
      door.close();
      if (this.#door !== door) return;
      this.#door = undefined;
      this.#openLater();
    };
    door.on('error', ({ message }) => {
      // Nobody who waits is let go.
      if (this.#came.length === 0) fail(message);
    });
    this.#door = door;
    try {
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
        fail('it is there, and no socket');
        return;
      }
      rmSync(made, { force: true });
    } catch {
      // Listening says why.
    }
    door.listen({ path: made, backlog: MOST_AT_DOOR }, () => {
      try {
        chmodSync(made, 0o666);
        this.#own = placeOf(made);
        renameSync(made, path);
        failed(undefined);
      } catch (error) {
        fail((error as Error).message);
      }
    });
    door.unref();
  }

  #closeDoor(): void {
    this.#door?.close();
    this.#door = undefined;
    for (const visitor of this.#came.splice(0)) visitor.destroy();
  }

  /**
   * The program gets the door and who came there, and lets them go: with either all sockets are closed that were sent there and not read, by whoever
   * closes it last, and a close(2) of these lasts for as long as who sent them likes (SO_LINGER). Who waits at the door comes again, as everybody does
   * who is told nothing. Where there is no program, this thread keeps them until there is one, and takes the door's name away: of those that may still
   * come then there are no more than wait at it.
   */
  #start(door: net.Server): void {
    const { path, signal } = this.#options;
    if (signal.aborted || this.#door !== door) return;
    const given = [door, ...this.#came].flatMap((one) => descriptorOf(one) ?? []);
    let child: ChildProcess;
    try {
      child = spawn(PERL, ['-e', RELAY_PROGRAM, process.arch, path, `${given.length}`], {
        env: {},
        cwd: '/',
        stdio: ['ignore', 'ignore', 'ignore', 'ipc', ...given],
      });
    } catch (error) {
      this.#notStarted(door, error as Error);
      return;
    }
    if (child.pid === undefined) child.once('error', (error) => this.#notStarted(door, error));
    else this.#started(child);
    // It runs: what fails later is told by its end.
    child.on('error', () => {});
  }

  #notStarted(door: net.Server, { message, code }: NodeJS.ErrnoException): void {
    const { path, failed } = this.#options;
    failed(`${PERL} cannot be started: ${message}${code === 'ENOENT' ? '; install perl-base' : ''}`);
    if (placeOf(path) === this.#own) rmSync(path, { force: true });
    this.#later(() => this.#start(door));
  }

  #started(child: ChildProcess): void {
    const { signal, failed, log } = this.#options;
    this.#closeDoor();
    this.#child = child;
    const startedMs = performance.now();
    child.on('message', (told, handle) => this.#take(told as Told, handle as object | undefined));
    failed(undefined);
    child.on('close', () => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#leaveAll();
      if (signal.aborted) return;
      if (performance.now() - startedMs >= SOUND_MS) this.#againMs = AGAIN_MS;
      log.warn(
        { event: 'sandbox-relay-ended' },
        'the program that sandboxes reach this agent by has ended; it is started again for who comes next',
      );
      this.#openLater();
    });
  }

  #openLater(): void {
    this.#later(() => this.#open());
  }

  #later(then: () => void): void {
    const { signal } = this.#options;
    setTimeout(() => {
      if (!signal.aborted) then();
    }, this.#againMs).unref();
    this.#againMs = Math.min(this.#againMs * 2, MOST_AGAIN_MS);
  }

  /** Whatever one says that nobody foresaw is that one's end, and not the agent's. */
  #take(told: Told, handle: object | undefined): void {
    try {
      unblockHandle(handle);
      this.#hear(told, handle);
    } catch (err) {
      const { connection } = told;
      this.#options.log.error(
        { event: 'sandbox-line-failed', err },
        'what was said at run.sock could not be taken; its connection is closed',
      );
      closeHandle(handle);
      this.#say(`${connection} close`);
      const events = this.#visitors.get(connection);
      this.#visitors.delete(connection);
      events?.closed();
    }
  }

  #hear({ connection, user, process, line, closed }: Told, handle: object | undefined): void {
    if (user !== undefined && process !== undefined) {
      const say = (text: string) => this.#say(`${connection} ${text}`);
      const visitor = { uid: user, pid: process, say, greet: () => say('greeted'), close: () => say('close') };
      this.#visitors.set(connection, this.#options.arrived(visitor));
      return;
    }
    const events = this.#visitors.get(connection);
    if (closed === true) {
      this.#visitors.delete(connection);
      events?.closed();
    } else if (events !== undefined && line !== undefined) events.line(line, handle);
    else closeHandle(handle);
  }

  #say(text: string): void {
    const child = this.#child;
    // Its end is told by `close`.
    if (child?.connected === true) child.send(text, () => {});
  }

  #leaveAll(): void {
    const left = [...this.#visitors.values()];
    this.#visitors.clear();
    for (const events of left) events.closed();
  }

  #close(): void {
    // Who listens takes the socket's file with it: the Perl program, which ends with the channel.
    const { path } = this.#options;
    if (this.#door !== undefined && placeOf(path) === this.#own) rmSync(path, { force: true });
    // Who waits for the program, and the door, go with this process: to close them could wait for as long as their senders say.
    if (this.#came.length === 0) this.#closeDoor();
    else endAtOnceOnly();
    this.#leaveAll();
    if (this.#child?.connected === true) this.#child.disconnect();
  }
}

/** What lies there, as Perl's `place` has it; undefined for nothing. */
function placeOf(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
