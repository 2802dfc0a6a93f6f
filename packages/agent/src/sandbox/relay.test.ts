/** Who comes to `run.sock`, by the real relay and real sockets: what a stranger can take of the agent, and of those who come beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { waits } from '../bytes/handle.fixture.ts';
import { closeHandle } from '../bytes/handle.ts';
import { PERL } from '../owner/diagnosis.ts';
import { MOST_ANSWER } from './lines.ts';
import { PLACES, RELAY_PROGRAM } from './perl/relay.ts';
import { SYSTEM } from './perl/system.ts';
import { Relay, type Visitor } from './relay.ts';

/**
 * Connects, says what it is told on stdin, `#N` for a line with N sockets of TCP, `!N` for one with N whose last close would wait for longer
 * than any test, and tells what it hears, and for `?` whether closing the socket of `#` would wait.
 */
const STRANGER = `${SYSTEM}
my ($path, $user) = @ARGV;
if ($user) { $) = "$user $user"; $> = $user; }
socket(my $socket, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
connect($socket, pack_sockaddr_un($path)) or die "connect: $!";
socket(my $file, AF_INET, SOCK_STREAM, 0) or die;
my @LINGER = (SOL_SOCKET, 13, pack('i i', 1, 3_600));
setsockopt($file, $LINGER[0], $LINGER[1], $LINGER[2]) or die;
socket(my $mute, AF_INET, SOCK_STREAM, 0) or die;
setsockopt($mute, SOL_SOCKET, 8, 2_304) or die; # SO_RCVBUF
bind($mute, pack_sockaddr_in(0, inet_aton('127.0.0.1'))) && listen($mute, 8) or die;
my @others;
# Nobody reads what it has sent.
sub lingering {
  socket(my $one, AF_INET, SOCK_STREAM, 0) or die;
  connect($one, getsockname $mute) && accept(my $other, $mute) or die;
  push @others, $other;
  fcntl($one, 4, 04000) or die;
  setsockopt($one, $LINGER[0], $LINGER[1], $LINGER[2]) or die;
  syswrite($one, 'x' x 65_536);
  return $one;
}
$| = 1;
print "here\\n";
if (!fork) { while (sysread($socket, my $heard, 65_536)) { print $heard } print "over\\n"; exit }
while (my $line = <STDIN>) {
  if ($line =~ s/^([#!])(\\d+) //) {
    my @files = map { $1 eq '#' ? $file : lingering() } 1 .. $2;
    my $control = pack('Q l l l*', 16 + 4 * @files, 1, 1, map { fileno $_ } @files);
    $control .= "\\0" x (-length($control) % 8);
    my $piece = pack('Q Q', pointer($line), length $line);
    my $message = message(\\$piece, \\$control);
    call('sendmsg', fileno $socket, $message, 0x4000);
  }
  elsif ($line =~ /^[?]/) { print 'waits: ', unpack('i', getsockopt($file, $LINGER[0], $LINGER[1])), "\\n" }
  else { syswrite($socket, $line) }
}
`;

const GRANTED = 'granted aaaaa\n';

/** One short question; empty where nobody answers it. Why not goes into `met`. */
async function ask(path: string, met: unknown[] = [], size = '5'): Promise<string> {
  const socket = connect(path);
  let heard = '';
  socket.on('error', (error: NodeJS.ErrnoException) => met.push(error.code));
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
    if (heard.endsWith('\n')) socket.destroy();
  });
  socket.write(`ask ${size}\n`);
  await new Promise((resolve) => socket.on('close', resolve));
  return heard;
}

const runs = process.platform === 'linux' && existsSync(PERL);
const isRoot = process.getuid?.() === 0;

describe.skipIf(!runs)('the relay', () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  function place(): { readonly folder: string; readonly path: string } {
    const folder = mkdtempSync(join(tmpdir(), 'weft-relay-'));
    chmodSync(folder, 0o755);
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    return { folder, path: join(folder, 'run.sock') };
  }

  /** One that greets who says hello, and notes what it hears. */
  async function relay(first: (path: string, folder: string) => void = () => {}) {
    const { folder, path } = place();
    const end = new AbortController();
    ends.push(() => end.abort());
    const heard: string[] = [];
    const reasons: (string | undefined)[] = [];
    const visitors = new Set<Visitor>();
    const one = new Relay({
      path,
      log: pino({ enabled: false }),
      signal: end.signal,
      failed: (reason) => reasons.push(reason),
      arrived: (visitor) => {
        visitors.add(visitor);
        return {
          line: (line, handle) => {
            heard.push(
              handle === undefined
                ? line
                : `${line} with ${handle.constructor.name}${waits(handle) ? ' that waits' : ''}`,
            );
            closeHandle(handle);
            if (line.startsWith('hello')) visitor.greet();
            if (!line.startsWith('ask')) return;
            visitor.say(`granted ${'a'.repeat(Number(line.split(' ')[1]))}`);
            visitor.close();
          },
          closed: () => visitors.delete(visitor),
        };
      },
    });
    await expect.poll(() => existsSync(path)).toBe(true);
    first(path, folder);
    // The first who comes is told nothing, and brings the Perl program; somebody listens at all times.
    const met: unknown[] = [];
    while ((await ask(path, met)) !== GRANTED && !met.includes('ENOENT'));
    expect(met).not.toContain('ENOENT');
    expect(met).not.toContain('ECONNREFUSED');
    await expect.poll(() => visitors.size).toBe(0);
    return { path, folder, one, heard, reasons, visitors };
  }

  function stranger(
    path: string,
    user = 0,
  ): { readonly child: ChildProcess; readonly said: () => string; readonly say: (text: string) => void } {
    const child = spawn(PERL, ['-e', STRANGER, process.arch, path, String(user)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    ends.push(() => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    return { child, said: () => said, say: (text) => child.stdin.write(text) };
  }

  const filesOf = (pid: number | undefined): number => readdirSync(`/proc/${pid}/fd`).length;

  test('who is slow to read has all of its answer, and holds up nobody', async () => {
    const { path, visitors } = await relay();
    const slow = connect(path);
    ends.push(() => slow.destroy());
    slow.pause();
    slow.write('ask 3000000\n');
    await expect.poll(() => visitors.size).toBe(1);
    expect(await ask(path)).toBe(GRANTED);
    let heard = 0;
    slow.on('data', ({ length }: Buffer) => {
      heard += length;
    });
    slow.resume();
    await once(slow, 'close');
    expect(heard).toBe(3_000_000 + 'granted \n'.length);
    await expect.poll(() => visitors.size).toBe(0);
  });

  test('a line that its agent cannot take ends who said it, and nothing else', async () => {
    const { path, visitors } = await relay();
    // No text is so long.
    expect(await ask(path, [], '-1')).toBe('');
    await expect.poll(() => visitors.size).toBe(0);
    expect(await ask(path)).toBe(GRANTED);
  });

  test('takes no socket of who is not greeted, and keeps none open, here or there', async () => {
    const { path, one, heard, visitors } = await relay();
    const before = [filesOf(process.pid), filesOf(one.pid)];
    for (let count = 0; count < 5; count++) {
      const each = stranger(path);
      await expect.poll(each.said).toContain('here');
      each.say('#1 socket 1\n');
      await expect.poll(each.said).toContain('over');
      each.child.stdin?.end();
      await once(each.child, 'close');
    }
    expect(heard.filter((line) => line.includes('with'))).toEqual([]);
    await expect.poll(() => visitors.size).toBe(0);
    await expect.poll(() => filesOf(one.pid)).toBe(before[1]);
    expect(filesOf(process.pid)).toBeLessThanOrEqual((before[0] ?? 0) + 1);
  });

  test('hands on sockets of who is greeted, one with each line, and closes what comes beside', async () => {
    const { path, one, heard } = await relay();
    const each = stranger(path);
    await expect.poll(each.said).toContain('here');
    // Also what comes with the greeting itself, before it is answered.
    each.say('hello 1\n');
    each.say('#1 socket 1\n');
    await expect.poll(() => heard).toContain('socket 1 with TCP');
    each.say('?\n');
    await expect.poll(each.said).toContain('waits: 0');
    const before = filesOf(one.pid);
    for (let count = 2; count < 20; count++) {
      each.say(`#2 socket ${count}\n`);
      await expect.poll(() => heard).toContain(`socket ${count} with TCP`);
    }
    await expect.poll(() => filesOf(one.pid)).toBeLessThanOrEqual(before);
    // More than there is room for: nothing of it is taken.
    each.say('#40 socket 99\n');
    await expect.poll(each.said).toContain('over');
    expect(heard).not.toContain('socket 99 with TCP');
    await expect.poll(() => filesOf(one.pid)).toBeLessThan(before);
  });

  test('waits at no socket that it closes, whatever SO_LINGER says', async () => {
    // Also of the first who come, which have sent it before anybody could look; all but one wait at the door when that is closed.
    const { path, heard, visitors } = await relay((at, folder) => {
      const pause = new Int32Array(new SharedArrayBuffer(4));
      for (const said of ['a', 'b', 'c'].map((name) => join(folder, name))) {
        const says = '{ printf "!1 no hello\\n?\\n"; sleep 600; } | "$@" > "$0"';
        const child = spawn('sh', ['-c', says, said, PERL, '-e', STRANGER, process.arch, at, '0'], {
          ...{ stdio: 'ignore', detached: true },
        });
        ends.push(() => process.kill(-(child.pid ?? 0), 'SIGKILL'));
        while (!existsSync(said) || !readFileSync(said, 'utf8').includes('waits')) Atomics.wait(pause, 0, 0, 5);
      }
    });
    let each: ReturnType<typeof stranger>;
    for (const [says, done] of [
      // With a line, beside a socket that is handed on, more than there is room for, and unread behind a line.
      ['!1 no hello\n', () => each.said().includes('over')],
      ['hello 1\n!2 socket 1\n', () => heard.includes('socket 1 with TCP')],
      ['hello 1\n!40 socket 2\n', () => each.said().includes('over')],
      ['what\n!1 socket 3\n?\n', () => each.said().includes('waits') && heard.includes('what')],
    ] as const) {
      each = stranger(path);
      await expect.poll(each.said).toContain('here');
      each.say(says);
      await expect.poll(done).toBe(true);
      for (const visitor of visitors) visitor.close();
      expect(await ask(path)).toBe(GRANTED);
      await expect.poll(() => visitors.size).toBe(0);
      each.child.stdin?.end();
    }
  });

  test.each([
    ['takes who waits once it can be', 'free'],
    ['ends', 'end'],
  ])('stands still for nobody where the program cannot be started, and %s', async (_then, then) => {
    const { path } = place();
    const fixture = fileURLToPath(new URL('./short-relay.fixture.ts', import.meta.url));
    const child = spawn('sh', ['-c', 'ulimit -n 128; exec "$@"', 'sh', process.execPath, fixture, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    ends.push(() => child.kill('SIGKILL'));
    let told = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    const tells = (text: string) => expect.poll(() => told, { timeout: 20_000 }).toContain(text);
    await tells('listens');
    child.stdin.write('fill\n');
    await tells('fill');
    // It has sent a socket whose close would wait before anybody could look.
    child.kill('SIGSTOP');
    const each = stranger(path);
    await expect.poll(each.said).toContain('here');
    each.say('!1 no hello\n?\n');
    await expect.poll(each.said).toContain('waits');
    child.kill('SIGCONT');
    await tells('perl cannot be started: spawn');
    child.stdin.write('goes on\n');
    await tells('goes on');
    expect(each.said()).not.toContain('over');
    child.stdin.write(`${then}\n`);
    if (then === 'end') {
      expect(await once(child, 'exit')).toEqual([0, null]);
      return;
    }
    await expect.poll(() => ask(path), { timeout: 20_000 }).toBe(GRANTED);
    expect(each.said()).toContain('over');
  });

  test('hands on no socket that waits', async () => {
    const { path } = place();
    // The program alone: the agent makes sure of that once more.
    const child = spawn(PERL, ['-e', RELAY_PROGRAM, process.arch, path, '0'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    ends.push(() => child.kill('SIGKILL'));
    const handed: boolean[] = [];
    child.on('message', ({ connection, line }: { connection: number; line?: string }, handle?: object) => {
      if (line?.startsWith('hello') === true) child.send(`${connection} greeted`);
      if (handle !== undefined) handed.push(waits(handle));
      closeHandle(handle);
    });
    await expect.poll(() => existsSync(path)).toBe(true);
    const each = stranger(path);
    await expect.poll(each.said).toContain('here');
    each.say('hello 1\n');
    each.say('#1 socket 1\n');
    await expect.poll(() => handed).toEqual([false]);
  });

  test('hears one line of who is not greeted', async () => {
    const { path, heard, visitors } = await relay();
    const socket = connect(path);
    socket.write('what\nhello 1\nask 5\n');
    await expect.poll(() => heard).toContain('what');
    expect(await ask(path)).toBe(GRANTED);
    expect(heard).not.toContain('hello 1');
    socket.destroy();
    for (const visitor of visitors) visitor.close();
  });

  test('passes an answer of any length that there is on, and goes on', async () => {
    const { path, one } = await relay();
    const { pid } = one;
    const socket = connect(path);
    let length = 0;
    socket.on('data', (piece) => {
      length += piece.length;
    });
    socket.write(`ask ${MOST_ANSWER - 8}\n`);
    await expect.poll(() => length).toBe(MOST_ANSWER + 1);
    socket.destroy();
    expect(one.pid).toBe(pid);
  });

  test.skipIf(!isRoot)('gives a user no more than a share of the places, and the silent make room', async () => {
    const { path, visitors } = await relay();
    const many = `my ($path, $user, $count) = @ARGV; use Socket; $) = "$user $user"; $> = $user; my @all;
      for (1 .. $count) { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($path)) or die; push @all, $s; select(undef, undef, undef, 0.002) }
      $| = 1; print "here\\n"; sleep 60;`;
    for (const user of [64_001, 64_002, 64_003]) {
      const child = spawn(PERL, ['-e', many, path, String(user), '200'], { stdio: ['ignore', 'pipe', 'inherit'] });
      ends.push(() => child.kill('SIGKILL'));
      await once(child.stdout, 'data');
    }
    const of = (uid: number) => [...visitors].filter((each) => each.uid === uid).length;
    await expect.poll(() => visitors.size).toBe(PLACES.all);
    expect(of(64_003)).toBe(PLACES.ofUser);
    const other = stranger(path, 64_004);
    await expect.poll(other.said).toContain('here');
    other.say('hello 1\n');
    expect(await ask(path)).toBe(GRANTED);
    await expect.poll(() => of(64_004)).toBe(1);
    expect(other.said()).not.toContain('over');
  });

  test('waits for the next who comes, and not in a loop, where the program cannot go on', async () => {
    const { path, folder, one, reasons } = await relay();
    const pid = one.pid;
    renameSync(folder, `${folder}.away`);
    ends.push(() => rmSync(`${folder}.away`, { recursive: true, force: true }));
    process.kill(pid ?? 0, 'SIGKILL');
    await expect.poll(() => reasons.at(-1)).toMatch(/cannot listen/);
    expect(one.pid).toBeUndefined();
    mkdirSync(folder);
    await expect.poll(() => reasons.at(-1), { timeout: 20_000 }).toBeUndefined();
    // Nobody has come.
    expect(one.pid).toBeUndefined();
    await expect.poll(() => ask(path)).toBe(GRANTED);
  });
});
