/**
 * Sockets of this host, asked of the kernel for by their addresses: some microseconds, however many sockets there are, where
 * /proc/net/tcp takes milliseconds. This thread asks itself, where its Node can; else a small Perl program does, where there is Perl; else, and
 * where that fails, the tables are read.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { HostPort, Protocol } from '@weft/proto';
import type { CallerSocket } from '../words/owner.ts';
import { DIAGNOSIS_PROGRAM } from './diagnosis-program.ts';
import type { KernelSockets } from './kernel-sockets.ts';
import { type FoundSocket, type Place, type Sockets, SocketTables, taking } from './socket-tables.ts';

export const PERL = '/usr/bin/perl';

/** An answer comes in less than a millisecond: who gives none is ended, and the tables are read. */
const ANSWER_MS = 500;
/** Before it has answered at all, it may still begin. */
const BEGIN_MS = 1_500;
/** One that ended is started again no sooner. */
const AGAIN_MS = 10_000;
/** What the kernel refused to list, as datagrams where it has no udp_diag, is asked for again no sooner: a module may come. */
const REFUSED_MS = 600_000;
/** Of more ports that datagrams came from, all sockets are asked for at once. */
const MOST_PORTS = 16;

interface Waiting {
  readonly count: number;
  readonly answered: (lines: readonly string[] | undefined) => void;
}

/** `c`: of a connection; `t` and `u`: who has a port. */
type Kind = 'c' | 't' | 'u';

interface Question {
  readonly kind: Kind;
  /** To the program. */
  readonly line: string;
  /** Undefined where the answer is not to be relied on. */
  readonly ask: (kernel: KernelSockets) => readonly Told[] | undefined;
}

/** What the kernel says of one socket; of a connection's end its place was said with the question. */
type Told = Pick<Place, 'socket'> & Partial<Place>;

export class Diagnosis implements Sockets {
  #child: ChildProcess | undefined;
  #startMs = Number.NEGATIVE_INFINITY;
  #heard = '';
  readonly #waiting: Waiting[] = [];
  /** Whether it has found one: before that, none may mean that this kernel answers nobody. */
  readonly #proven = new Set<Kind>();
  readonly #tables: Sockets;
  readonly #beginMs: number;
  #kernel: KernelSockets | undefined;
  readonly #program: string;
  /** What it never answered, and when it may be asked again. */
  readonly #refused = new Map<Kind, number>();
  /** Whether the program that runs has answered. */
  #answered: boolean = false;

  /** `tables`: where the kernel answers nobody. `beginMs`: how long the program may take to begin. `kernel`: proven, where there is one. */
  constructor(
    tables: Sockets = new SocketTables(),
    beginMs: number = BEGIN_MS,
    kernel?: KernelSockets,
    program: string = DIAGNOSIS_PROGRAM,
  ) {
    this.#program = program;
    this.#tables = tables;
    this.#beginMs = beginMs;
    if (kernel !== undefined) this.take(kernel);
  }

  /** `kernel`: proven since. */
  take(kernel: KernelSockets): void {
    this.#kernel = kernel;
    for (const kind of ['c', 't'] as const) this.#proven.add(kind);
    if (this.#child !== undefined && this.#waiting.length === 0) this.#end(this.#child);
  }

  /** Before anything is asked: the program takes its time to begin. */
  begin(): void {
    if (this.#kernel === undefined) this.#started();
  }

  /** Whether the kernel has answered what was asked about connections, about datagrams. */
  answers(protocol: Protocol): boolean {
    return this.#proven.has(protocol === 'tcp' ? 'c' : 'u');
  }

  async callers(callers: readonly CallerSocket[]): Promise<readonly (readonly FoundSocket[])[]> {
    const ports = new Set(callers.flatMap(({ protocol, client }) => (protocol === 'udp' ? [client.port] : [])));
    const all = ports.size > MOST_PORTS;
    const udp = all ? [ofPort('udp', 0)] : [...ports].map((port) => ofPort('udp', port));
    const tcp = callers.filter(({ protocol }) => protocol === 'tcp');
    const answers = await this.#ask([...tcp.map(ofConnection), ...udp]);
    const byPort = Map.groupBy(
      answers.slice(tcp.length).flatMap((told) => told ?? []),
      ({ port }) => port,
    );
    const isWhole = answers.slice(tcp.length).every((told) => told !== undefined);
    let at = 0;
    const found = callers.map(({ protocol, client }) => {
      const told = protocol === 'tcp' ? answers[at++] : isWhole ? (byPort.get(client.port) ?? []) : undefined;
      return told?.map(({ socket }) => socket);
    });
    return await this.#orTables(found, callers, (rest) => this.#tables.callers(rest));
  }

  async listeners(places: readonly (HostPort & { readonly protocol: Protocol })[]) {
    const all = places.map(({ protocol, port }) => ofPort(protocol, port));
    const questions = new Map(all.map((question) => [question.line, question]));
    const answers = await this.#ask([...questions.values()]);
    const byLine = new Map([...questions.keys()].map((line, at) => [line, answers[at]]));
    const found = places.map((place, at) => {
      const told = byLine.get(all[at]?.line ?? '');
      return told === undefined ? undefined : taking(told.filter(isPlace), place);
    });
    return await this.#orTables(found, places, (rest) => this.#tables.listeners(rest));
  }

  close(): void {
    this.#kernel?.close();
    const child = this.#child;
    if (child !== undefined) this.#end(child);
  }

  async #orTables<T>(
    found: readonly (readonly FoundSocket[] | undefined)[],
    asked: readonly T[],
    read: (rest: readonly T[]) => Promise<readonly (readonly FoundSocket[])[]>,
  ): Promise<readonly (readonly FoundSocket[])[]> {
    const rest = asked.filter((_, at) => found[at] === undefined);
    const others = rest.length === 0 ? [] : await read(rest);
    let at = 0;
    return found.map((sockets) => sockets ?? others[at++] ?? []);
  }

  /** For each question what was told; undefined where that is not to be relied on. */
  async #ask(questions: readonly Question[]): Promise<readonly (readonly Told[] | undefined)[]> {
    const kernel = this.#kernel;
    const told = questions.map((question) => kernel && question.ask(kernel));
    const isOpen = (kind: Kind, at: number) => told[at] === undefined && this.#mayTell(kind);
    const rest = questions.filter(({ kind }, at) => isOpen(kind, at));
    const lines = rest.length === 0 ? [] : await this.#lines(rest.map(({ line }) => line));
    const answers = new Map(rest.map((question, at) => [question, lines?.[at]]));
    return questions.map((question, at) => {
      const { kind } = question;
      const line = answers.get(question);
      const found = told[at] ?? (line === undefined ? undefined : toldOf(line));
      if (found !== undefined && found.length > 0) this.#proven.add(kind);
      const isProven = this.#proven.has(kind);
      if (line !== undefined && found === undefined && !isProven)
        this.#refused.set(kind, performance.now() + REFUSED_MS);
      return isProven ? found : undefined;
    });
  }

  /** Whether the program may tell what this thread was not: it is the same kernel, which has nothing to list such sockets by where it never did. */
  #mayTell(kind: Kind): boolean {
    if (this.#proven.has(kind)) return true;
    return this.#kernel === undefined && performance.now() >= (this.#refused.get(kind) ?? Number.NEGATIVE_INFINITY);
  }

  #lines(questions: readonly string[]): Promise<readonly string[] | undefined> {
    const child = this.#started();
    if (child?.stdin === undefined || child.stdin === null) return Promise.resolve(undefined);
    const { stdin } = child;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#end(child), this.#answered ? ANSWER_MS : this.#beginMs);
      const answered = (lines: readonly string[] | undefined) => {
        clearTimeout(late);
        resolve(lines);
      };
      this.#waiting.push({ count: questions.length, answered });
      stdin.write(`${questions.join('\n')}\n`);
    });
  }

  #started(): ChildProcess | undefined {
    if (this.#child !== undefined) return this.#child;
    const now = performance.now();
    if (now - this.#startMs < AGAIN_MS) return undefined;
    this.#startMs = now;
    let child: ChildProcess;
    try {
      // Nothing of the agent's surroundings is its business.
      child = spawn(PERL, ['-e', this.#program], { env: {}, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    } catch {
      return undefined;
    }
    child.on('error', () => this.#end(child));
    child.on('exit', () => this.#end(child));
    // Without a file for a pipe there is none, and the error follows.
    if (!child.stdin || !child.stdout) return undefined;
    this.#child = child;
    this.#heard = '';
    this.#answered = false;
    child.stdin.on('error', () => this.#end(child));
    child.stdout.setEncoding('latin1');
    child.stdout.on('data', (text: string) => {
      if (child === this.#child) this.#hear(text);
    });
    return child;
  }

  #hear(text: string): void {
    this.#heard += text;
    if (!text.includes('\n')) return;
    this.#answered = true;
    const lines = this.#heard.split('\n');
    for (let [next] = this.#waiting; next !== undefined && lines.length > next.count; [next] = this.#waiting) {
      this.#waiting.shift();
      next.answered(lines.splice(0, next.count));
    }
    this.#heard = lines.join('\n');
  }

  #end(child: ChildProcess): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    child.kill('SIGKILL');
    for (const { answered } of this.#waiting.splice(0)) answered(undefined);
  }
}

function ofConnection({ client, called }: CallerSocket): Question {
  const [from, to] = [client, called].map(({ host, port }) => `${addressOf(host)} ${hexOf(port)}`);
  const ask = (kernel: KernelSockets): readonly Told[] | undefined => {
    const socket = kernel.connection(client, called);
    if (socket === 'unknown') return undefined;
    return socket === 'none' ? [] : [{ socket }];
  };
  return { kind: 'c', line: `c ${from} ${to}`, ask };
}

/** 0 for any. */
function ofPort(protocol: Protocol, port: number): Question {
  const kind = protocol === 'tcp' ? 't' : 'u';
  return { kind, line: `${kind} ${hexOf(port)}`, ask: (kernel) => kernel.at(protocol, port) };
}

function isPlace(told: Told): told is Place {
  return told.address !== undefined;
}

function addressOf(host: string): string {
  return Buffer.from(host.split('.').map(Number)).toString('hex');
}

function hexOf(port: number): string {
  return port.toString(16).padStart(4, '0');
}

/** Undefined when it is no answer. */
function toldOf(line: string): readonly Told[] | undefined {
  if (line === '-') return [];
  if (line === '!') return undefined;
  return line.split(' ').map((word) => {
    const [address = '', port = '', , , state = '', alone = '', uid = '', inode = '', group = ''] = word.split(':');
    const socket = { inode, uid: Number(uid), ...(group === '' ? {} : { group }) };
    return { address, port: Number.parseInt(port, 16), taking: isTaking(state), alone: alone === '1', socket };
  });
}

/** TCP_LISTEN, and of datagrams TCP_CLOSE, which there means bound and not connected (net/tcp_states.h). */
function isTaking(state: string): boolean {
  return state === '10' || state === '7';
}
