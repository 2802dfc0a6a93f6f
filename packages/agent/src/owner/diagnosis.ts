/**
 * The socket at one end of a connection, asked of the kernel by its addresses (sock_diag(7)): some microseconds, however many
 * sockets there are, where /proc/net/tcp takes milliseconds. Node has no such sockets, so a small Perl program has, where there
 * is Perl; it is told addresses, and tells numbers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { CallerSocket } from '../words/owner.ts';
import { type FoundSocket, findCallers } from './socket-tables.ts';

export const PERL = '/usr/bin/perl';

/**
 * A line asks: address and port of the one end, and of the other, as hexadecimal in the network's order. A line answers: inode
 * and user, or - where there is no such socket.
 */
const PROGRAM = `
use strict;
$| = 1;
socket(my $kernel, 16, 3, 4) or exit 1; # AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG
while (defined(my $line = <STDIN>)) {
  my ($client, $port, $called, $to) = split ' ', $line;
  # struct inet_diag_sockid: ports, addresses, interface, no cookie
  my $id = pack('H4 H4 H8 x12 H8 x12 L L L', $port, $to, $client, $called, 0, 0xffffffff, 0xffffffff);
  # struct nlmsghdr with SOCK_DIAG_BY_FAMILY and NLM_F_REQUEST; struct inet_diag_req_v2: AF_INET, IPPROTO_TCP, no extensions, every state
  my $ask = pack('L S S L L C C C C L', 72, 20, 1, 1, 0, 2, 6, 0, 0, 0xffffffff) . $id;
  syswrite($kernel, $ask) or exit 1;
  my $size = sysread($kernel, my $answer, 8192) or exit 1;
  my (undef, $type) = unpack('L S', $answer);
  # struct inet_diag_msg: family, state, 2 bytes, the id, expires, two queues, user, inode. The kernel falls back to who listens
  # at the caller's place: the caller is only who is no listener (TCP_LISTEN is 10), and has the very addresses.
  my ($family, $state, $ports, $from, $at, $user, $inode) =
    $type == 20 && $size >= 88 ? unpack('x16 C C x2 H8 H32 H32 x24 L L', $answer) : (0, 10, '', '', '', 0, 0);
  my ($head, $rest) = $family == 2 ? ('', 8) : ('00000000000000000000ffff', 32);
  my $same = $ports eq $port . $to && substr($from, 0, $rest) eq $head . $client && substr($at, 0, $rest) eq $head . $called;
  print $inode && $state != 10 && $same ? "$inode $user\\n" : "-\\n";
}
`;

/** An answer comes in less than a millisecond: who gives none is ended, and the tables are read. */
const ANSWER_MS = 500;
/** One that ended is started again no sooner. */
const AGAIN_MS = 10_000;

export class Diagnosis {
  #child: ChildProcess | undefined;
  #startMs = Number.NEGATIVE_INFINITY;
  #heard = '';
  #waiting: { readonly count: number; readonly answered: (lines: readonly string[] | undefined) => void } | undefined;
  /** Whether it has found one: before that, none may mean that this kernel answers nobody. */
  #proven: boolean = false;

  readonly #tables: typeof findCallers;

  /** `tables`: where the kernel answers nobody, and for datagrams. */
  constructor(tables: typeof findCallers = findCallers) {
    this.#tables = tables;
  }

  /** In the order of the callers. One call at a time. */
  async find(callers: readonly CallerSocket[]): Promise<readonly (readonly FoundSocket[])[]> {
    const tcp = callers.filter(({ protocol }) => protocol === 'tcp');
    const lines = tcp.length === 0 ? [] : await this.#ask(tcp.map(question));
    const answers = new Map<CallerSocket, readonly FoundSocket[]>();
    for (const [at, caller] of tcp.entries()) {
      const [, inode, uid] = /^(\d+) (\d+)$/.exec(lines?.[at] ?? '') ?? [];
      if (inode !== undefined) answers.set(caller, [{ inode, uid: Number(uid) }]);
      else if (this.#proven && lines !== undefined) answers.set(caller, []);
    }
    if (answers.size > 0) this.#proven ||= [...answers.values()].some(({ length }) => length > 0);
    const rest = callers.filter((caller) => !answers.has(caller));
    const found = rest.length === 0 ? [] : this.#tables(rest);
    for (const [at, caller] of rest.entries()) answers.set(caller, found[at] ?? []);
    return callers.map((caller) => answers.get(caller) ?? []);
  }

  close(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Undefined where nobody answers. */
  #ask(questions: readonly string[]): Promise<readonly string[] | undefined> {
    const child = this.#started();
    if (child?.stdin === undefined || child.stdin === null) return Promise.resolve(undefined);
    const { stdin } = child;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#end(child), ANSWER_MS);
      this.#waiting = {
        count: questions.length,
        answered: (lines) => {
          clearTimeout(late);
          this.#waiting = undefined;
          resolve(lines);
        },
      };
      stdin.write(questions.join(''));
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
      child = spawn(PERL, ['-e', PROGRAM], { env: {}, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    } catch {
      return undefined;
    }
    child.on('error', () => this.#end(child));
    child.on('exit', () => this.#end(child));
    // Without a file for a pipe there is none, and the error follows.
    if (!child.stdin || !child.stdout) return undefined;
    this.#child = child;
    this.#heard = '';
    child.stdin.on('error', () => this.#end(child));
    child.stdout.setEncoding('latin1');
    child.stdout.on('data', (text: string) => {
      if (child === this.#child) this.#hear(text);
    });
    return child;
  }

  #hear(text: string): void {
    this.#heard += text;
    const lines = this.#heard.split('\n');
    if (this.#waiting === undefined || lines.length <= this.#waiting.count) return;
    this.#heard = '';
    this.#waiting.answered(lines);
  }

  #end(child: ChildProcess): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    child.kill('SIGKILL');
    this.#waiting?.answered(undefined);
  }
}

function question({ client, called }: CallerSocket): string {
  const [from, to] = [client, called].map(
    ({ host, port }) => `${hexOf(host.split('.').map(Number))} ${hexOf([port >> 8, port & 255])}`,
  );
  return `${from} ${to}\n`;
}

function hexOf(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString('hex');
}
