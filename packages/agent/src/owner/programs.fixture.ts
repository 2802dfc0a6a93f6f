/** Real programs that call, as users of their own. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostPort } from '@weft/proto';

/** Of the system, in every /etc/passwd. */
export const DAEMON = { name: 'daemon', uid: 1 };
export const BIN = { name: 'bin', uid: 2 };

/** Tests with users need root, as CI has. */
export const IS_ROOT: boolean = process.getuid?.() === 0;

/** A line on its stdin is a command; a line of stdout is what came of it. */
const PROGRAM = `
import os, socket, sys
held, children = {}, []
for line in sys.stdin:
    word, *rest = line.split()
    if word == 'connect':
        s = socket.create_connection((rest[1], int(rest[2])), source_address=('127.0.0.1', int(rest[3]) if len(rest) > 3 else 0))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'many':
        held[rest[0]] = [socket.create_connection((rest[1], int(rest[2]))) for _ in range(int(rest[3]))]
        print(len(held[rest[0]]), flush=True)
    elif word == 'connect6':
        s = socket.socket(socket.AF_INET6)
        s.bind(('::ffff:127.0.0.1', 0)); s.connect(('::ffff:' + rest[1], int(rest[2])))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'udp':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(('127.0.0.1', 0)); s.sendto(b'hello', (rest[1], int(rest[2])))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'say':
        s = held[rest[0]]
        s.settimeout(10 if s.type == socket.SOCK_STREAM else 1)
        try:
            s.sendall(b'hello')
            said = s.recv(100).decode() or 'end'
        except ConnectionError: said = 'reset'
        except TimeoutError: said = 'nothing'
        print(said, flush=True)
    elif word == 'talk':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if len(rest) > 3: s.bind(('127.0.0.1', int(rest[3])))
        s.connect((rest[1], int(rest[2])))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'listen':
        s = socket.create_server(('127.0.0.1', 0), **({'backlog': int(rest[1])} if len(rest) > 1 else {}))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'begin':
        # To connect, and waits for nothing.
        s = socket.socket(); s.setblocking(False); s.bind(('127.0.0.1', 0))
        s.connect_ex((rest[1], int(rest[2])))
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'take':
        # Listens, or is bound for datagrams, at this address and port.
        s = socket.socket(socket.AF_INET6 if ':' in rest[2] else socket.AF_INET, socket.SOCK_STREAM if rest[1] == 'tcp' else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((rest[2], int(rest[3])))
        if rest[1] == 'tcp': s.listen()
        held[rest[0]] = s
        print(s.getsockname()[1], flush=True)
    elif word == 'files':
        # So many more.
        held[rest[0]] = [open('/dev/null') for _ in range(int(rest[1]))]
        print(len(held[rest[0]]), flush=True)
    elif word == 'close':
        held.pop(rest[0]).close()
        print('closed', flush=True)
    elif word == 'reset':
        # With what it said last still on its way.
        import struct
        s = held.pop(rest[0]); s.sendall(' '.join(rest[1:]).encode())
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()
        print('reset', flush=True)
    elif word == 'exec':
        # Another program, which holds what this one holds.
        import subprocess
        for s in held.values(): s.set_inheritable(True)
        p = subprocess.Popen(rest, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        children.append(p.pid)
        print(p.pid, flush=True)
    elif word == 'become':
        for s in held.values(): s.set_inheritable(True)
        print('soon', flush=True)
        os.execv(rest[0], rest)
    elif word == 'await':
        way = socket.socket(socket.AF_UNIX); way.bind(rest[0]); way.listen()
        print('awaits', flush=True)
    elif word == 'hand':
        to = socket.socket(socket.AF_UNIX); to.connect(rest[1])
        socket.send_fds(to, [b'x'], [held[rest[0]].fileno()])
        print('handed', flush=True)
    elif word == 'take-handed':
        taken, _ = way.accept()
        _, files, _, _ = socket.recv_fds(taken, 1, 1)
        held[rest[0]] = socket.socket(fileno=files[0])
        print('taken', flush=True)
    elif word == 'no-table':
        # A thread with no files.
        import ctypes, threading
        libc = ctypes.CDLL(None)
        emptied = threading.Event()
        def no():
            libc.unshare(0x400); os.closerange(0, 65536); emptied.set()
            threading.Event().wait()
        threading.Thread(target=no).start()
        emptied.wait()
        print('emptied', flush=True)
    elif word == 'own-table':
        # A thread with files of its own (CLONE_FILES), which opens a socket there.
        import ctypes, threading
        libc = ctypes.CDLL(None)
        def own():
            libc.unshare(0x400)
            for _ in range(int(rest[0])): os.dup(0)
            s = socket.socket()
            print(os.readlink(f'/proc/thread-self/fd/{s.fileno()}')[8:-1], flush=True)
            threading.Event().wait()
        threading.Thread(target=own).start()
    elif word == 'end-first':
        # The first thread alone.
        print('ends', flush=True)
        libc.syscall(93 if os.uname().machine == 'aarch64' else 60, 0)
    elif word == 'fork':
        # As another user where one is given; it holds what this one holds.
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            if len(rest) > 0: os.setuid(int(rest[0]))
            os.write(w, b'x'); os.read(r, 0)
            import signal; signal.pause()
        os.read(r, 1)
        children.append(pid)
        print(pid, flush=True)
for pid in children: os.kill(pid, 9)
`;

export class Caller {
  readonly #child: ChildProcess;
  #heard = '';
  readonly #waiting: ((line: string) => void)[] = [];

  /** `command`: what runs before Python, such as to be another user. */
  constructor(command: readonly string[] = [], program = '/usr/bin/python3') {
    const [file = program, ...rest] = [...command, program, '-c', PROGRAM];
    this.#child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#heard += text;
      for (let end = this.#heard.indexOf('\n'); end !== -1; end = this.#heard.indexOf('\n')) {
        this.#waiting.shift()?.(this.#heard.slice(0, end));
        this.#heard = this.#heard.slice(end + 1);
      }
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it answers to a command. */
  ask(command: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin?.write(`${command}\n`);
    });
  }

  /** Its own port of a new connection, or of a datagram that it sends. */
  async call(how: 'connect' | 'connect6' | 'begin' | 'udp' | 'talk', name: string, to: HostPort): Promise<HostPort> {
    return { host: '127.0.0.1', port: Number(await this.ask(`${how} ${name} ${to.host} ${to.port}`)) };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const over = once(this.#child, 'exit');
    this.#child.stdin?.end();
    // One that runs another program by now hears of nothing.
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 1_000);
    await over;
    clearTimeout(late);
  }
}

/** For `Caller`: to run as this user. */
export function asUser({ uid }: { readonly uid: number }): readonly string[] {
  return ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
}

/** Where control groups of version 2 are mounted, alone or beside those of version 1. */
const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`));

export interface UnitGroup {
  /** As `match: { unit: … }` names it. */
  readonly name: string;
  readonly enter: (pid: number) => void;
  /** Once nobody is in it. */
  readonly remove: () => void;
}

/** That was made for the group. */
function removeSlice(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Others are in it by now.
  }
}

/** Mounted or not. Whoever is in it is not moved: it goes from here alone. */
function unmount(directory: string): void {
  spawnSync('/bin/umount', ['--lazy', directory]);
  rmdirSync(directory);
}

/** A control group as systemd makes one for a unit of the system. Where it is mounted read-only, it is made by a mount of the test's own. */
export function unitGroup(word: string): UnitGroup {
  const name = `weft-test-${process.pid}-${word}.service`;
  let mounted: string | undefined;
  const make = (root: string) => mkdirSync(`${root}/system.slice/${name}`, { recursive: true });
  let above: string | undefined;
  try {
    above = make(GROUPS ?? '');
  } catch {
    mounted = mkdtempSync(join(tmpdir(), 'weft-groups-'));
    try {
      execFileSync('/bin/mount', ['-t', 'cgroup2', 'none', mounted]);
      make(mounted);
    } catch (error) {
      unmount(mounted);
      throw error;
    }
  }
  const group = `${mounted ?? GROUPS}/system.slice/${name}`;
  return {
    name,
    enter: (pid) => writeFileSync(`${group}/cgroup.procs`, `${pid}`),
    remove: () => {
      try {
        rmdirSync(group);
        if (above !== undefined && above !== group) removeSlice(above);
      } finally {
        if (mounted !== undefined) unmount(mounted);
      }
    },
  };
}
