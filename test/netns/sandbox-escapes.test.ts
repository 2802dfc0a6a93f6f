/**
 * `weft run`: ways out of a sandbox, tried by real programs as an ordinary user. Each is closed, however the sandbox was begun. And
 * hosts that forbid one, which say so in full before anything starts.
 */
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout, createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Finished } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('perl', 'unshare', 'python3', 'setpriv');

const MESH = `
network: prod
services:
  web: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
`;

/** Says of each try what came of it: the value, or the system's word. */
const TRIES = `
import ctypes, fcntl, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def tell(what, how):
    try: told = repr(how())
    except OSError as e: told = os.strerror(e.errno) if e.errno else str(e)
    print(what + ': ' + told, flush=True)
def stream(at):
    s = socket.socket(socket.AF_UNIX); s.connect(at); return 'reached'
def datagram(at):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'hi', at); return 'reached'
def system(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return result
`;

/** Sockets of the host, bound as they are named: one that listens, one that takes datagrams. */
const SERVE = `
import socket, sys, time
held = []
for place in sys.argv[1:]:
    for name, kind in (('stream', socket.SOCK_STREAM), ('datagram', socket.SOCK_DGRAM)):
        s = socket.socket(socket.AF_UNIX, kind); s.bind(f'{place}/{name}.sock')
        if kind == socket.SOCK_STREAM: s.listen()
        held.append(s)
print('ready', flush=True)
time.sleep(600)`;

describe.skipIf(missing !== undefined)(titled('ways out of a sandbox', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let front: Host;
  let agent: Agent;
  /** Neither under /tmp nor /run. */
  let elsewhere: string;

  /** Begun in that directory. */
  const run = (directory: string, tries: string, env: Record<string, string> = {}): Promise<Finished> =>
    front.run(
      [
        ...['bash', '-c', 'cd "$0" && exec "$@"', directory],
        ...['weft', 'run', '--service', 'web', '--data', agent.dataDir, '--', '/usr/bin/python3', '-c', TRIES + tries],
      ],
      { env },
    );

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    elsewhere = mkdtempSync('/var/tmp/weft-escapes-');
    chownSync(elsewhere, 65_534, 65_534);
    cleanup.defer(() => rmSync(elsewhere, { recursive: true, force: true }));
    const control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    front = await lab.host('front');
    const token = await control.token('--host', 'front', '--services', 'web');
    agent = await Agent.start(front, { token, config: 'services: {}' });
    await front.start(['/usr/bin/python3', '-c', SERVE, front.dir, elsewhere]).output(/ready/);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('the agent’s directory and sockets of the host, begun above them', async () => {
    const places = [front.dir, elsewhere];
    const tries = `
tell('identity', lambda: open('${agent.dataDir}/identity.json').read())
tell('status', lambda: stream('${agent.dataDir}/agent.sock'))
tell('run', lambda: stream('${agent.dataDir}/run.sock'))
${places
  .map(
    (place, at) =>
      `tell('stream${at}', lambda: stream('${place}/stream.sock'))\ntell('datagram${at}', lambda: datagram('${place}/datagram.sock'))`,
  )
  .join('\n')}
tell('work', lambda: (os.getcwd() == '${front.dir}', os.path.exists('host-file')))
tell('kept', lambda: [name for name in os.listdir('/run') if name.startswith('weft-')])`;
    await front.run(['touch', join(front.dir, 'host-file')]);
    const { stdout, stderr } = await run(front.dir, tries);
    const told = stdout + stderr;
    for (const name of ['identity', 'status', 'run']) expect(told).toContain(`${name}: No such file or directory\n`);
    for (const at of places.keys()) {
      expect(told).toContain(`stream${at}: Connection refused\n`);
      expect(told).toContain(`datagram${at}: Connection refused\n`);
    }
    expect(told).toContain('work: (True, True)\n');
    expect(told).toContain('kept: []\n');
  });

  test('begun in the agent’s directory is refused', async () => {
    const { code, stderr } = await run(agent.dataDir, 'print("began")');
    expect(stderr).toBe(
      `weft: cannot make the sandbox: the directory ${agent.dataDir} is of the agent, which no program in a sandbox sees; begin in another\n`,
    );
    expect(code).toBe(1);
  });

  test('devices, keys and kernel settings of the host', async () => {
    const [addKey, keyctl] = process.arch === 'arm64' ? [217, 219] : [248, 250];
    const tries = `
tell('devices', lambda: sorted(os.listdir('/dev')))
tell('terminals', lambda: os.listdir('/dev/pts'))
tell('terminal', lambda: [os.isatty(fd) for fd in os.openpty()])
tell('messages', lambda: os.listdir('/dev/mqueue'))
tell('add', lambda: system(${addKey}, b'user', b'weft', b'x', 1, -3))
tell('keys', lambda: system(${keyctl}, 0, -3, 0))
tell('setting', lambda: open('/proc/sys/kernel/core_pattern', 'w'))
tell('sysctl', lambda: [l.split()[5].split(',')[0] for l in open('/proc/self/mountinfo') if ' /proc/sys ' in l])
tell('groups', lambda: ' '.join(sorted(os.listdir('/sys/fs/cgroup'))))
tell('group', lambda: os.mkdir('/sys/fs/cgroup/weft-test'))
tell('interfaces', lambda: sorted(os.listdir('/sys/class/net')))`;
    const { stdout, stderr } = await run('/', tries, { LANG: 'xx_XX.UTF-8', LC_ALL: 'xx_XX.UTF-8' });
    expect(stdout).toContain(
      "devices: ['fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'tty', 'urandom', 'zero']\n",
    );
    expect(stdout).toContain("terminals: ['ptmx']\nterminal: [True, True]\nmessages: []\n");
    expect(stdout).toContain('add: Function not implemented\nkeys: Function not implemented\n');
    const groups = (await front.run(['ls', '/sys/fs/cgroup'])).stdout.trim().replaceAll(/\s+/g, ' ');
    expect(stdout).toContain(`sysctl: ['ro']\ngroups: '${groups}'\n`);
    expect(stdout).toMatch(/^group: (Read-only file system|No such file or directory)$/m);
    expect(stdout).toContain("interfaces: ['lo', 'weft0']\n");
    expect(stdout).toContain('setting: Read-only file system\n');
    // Of a language that this host has not made Perl would complain.
    expect(stderr).not.toMatch(/^perl:/m);
  });

  test('a signal to its own process group', async () => {
    const command = ['weft', 'run', '--service', 'web', '--data', agent.dataDir, '--'];
    const inside = ['sh', '-c', "trap '' TERM; kill -TERM 0; echo alive"];
    const told = await front.run(['bash', '-c', '"$@"; echo "outside $?"', 'bash', ...command, ...inside]);
    expect(told.stdout).toBe('alive\noutside 0\n');
  });

  test('typing at the terminal of who began it', async () => {
    const typing = `${TRIES}
for request in (0x5412, 0x1_0000_5412, 0x541c):
    tell('typed', lambda: system(${process.arch === 'arm64' ? 29 : 16}, 0, ctypes.c_ulong(request), ctypes.c_char_p(b'x')))
tell('named', lambda: os.ttyname(0))`;
    const command = [
      'weft',
      'run',
      '--service',
      'web',
      '--data',
      agent.dataDir,
      '--',
      '/usr/bin/python3',
      '-c',
      typing,
    ];
    const { stdout } = await front.run([
      ...['/usr/bin/python3', '-c', 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)', ...command],
    ]);
    expect(stdout.replaceAll('\r', '')).toBe(`${'typed: Operation not permitted\n'.repeat(3)}named: '/dev/console'\n`);
  });

  describe('where a host forbids it', () => {
    const filtered = `/usr/bin/perl ${join(checkout, 'test', 'fixtures', 'forbid.pl')}`;
    const [unshare, mount] = process.arch === 'arm64' ? [97, 40] : [272, 165];
    const NEW_NET = '40000000';
    const setting = (key: string, value: string) =>
      `mount -t tmpfs tmpfs /proc/sys/kernel; echo ${value} > /proc/sys/kernel/${key}`;
    /** In a user namespace that root made, whose limits are its own. */
    const limited = (key: string) => ({
      // Held as long as the command has the other end of what is read.
      prepare: `rm -f hold; mkfifo hold; unshare --user cat < hold > /dev/null 2>&1 & held=$!
until exec 9> hold; do sleep 0.05; done
until [ "$(readlink /proc/$held/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
for map in uid_map gid_map; do echo 0 0 65536 > /proc/$held/$map; done
nsenter --user --target $held sh -c 'echo 0 > /proc/sys/user/${key}'`,
      through: 'nsenter --user --target $held --setuid 0 --setgid 0',
    });
    const elsewhere =
      '(docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined), let the unit (no RestrictNamespaces= and SystemCallFilter=), or run weft run on the host';
    const apparmor =
      'kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04 and later), which takes the rights in a user namespace from programs without a profile; set it: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give /usr/bin/perl an AppArmor profile with "userns,"';
    const none = (sort: string) =>
      `user.max_${sort}_namespaces is 0, so nobody may make such a namespace; set it: sysctl -w user.max_${sort}_namespaces=10000`;
    const covered =
      "parts of /proc are covered here (Operation not permitted), as a container's are by default, so a new one cannot be shown without them; run the container with --security-opt systempaths=unconfined (Kubernetes: procMount: Unmasked), or run weft run on the host";
    const filter = (call: string) =>
      `a filter of system calls forbids it (${call}: Operation not permitted), as a container's does by default; let the container make namespaces ${elsewhere}`;

    /** What root does to the host before, and what the user is run through. */
    const hosts: Record<string, { prepare?: string; through?: string; says: string }> = {
      'user.max_user_namespaces': { ...limited('max_user_namespaces'), says: none('user') },
      'user.max_net_namespaces': { ...limited('max_net_namespaces'), says: none('net') },
      'user.max_mnt_namespaces': { ...limited('max_mnt_namespaces'), says: none('mnt') },
      // Debian's kernel answers so.
      'kernel.unprivileged_userns_clone': {
        prepare: setting('unprivileged_userns_clone', '0'),
        through: `${filtered} ${unshare} --`,
        says: 'kernel.unprivileged_userns_clone is 0, which lets root alone make user namespaces; set it: sysctl -w kernel.unprivileged_userns_clone=1',
      },
      // Ubuntu's makes the namespace, and then lets it be nobody's: the file cannot be written. It stays where it is when this becomes the supervisor.
      'kernel.apparmor_restrict_unprivileged_userns': {
        prepare: `${setting('apparmor_restrict_unprivileged_userns', '1')}; mount --bind /etc/hostname /proc/$$/setgroups`,
        says: apparmor,
      },
      'the same, told later': {
        prepare: setting('apparmor_restrict_unprivileged_userns', '1'),
        through: `${filtered} ${unshare}:${NEW_NET} --`,
        says: apparmor,
      },
      'a filter of system calls': { through: `${filtered} ${unshare} --`, says: filter('unshare of a user namespace') },
      'a filter of one sort': {
        through: `${filtered} ${unshare}:${NEW_NET} --`,
        says: filter('unshare of a net namespace'),
      },
      'a filter of mounts': { through: `${filtered} ${mount} --`, says: filter('mount of /') },
      'a chroot': {
        prepare: 'mkdir -p root; mount --rbind / root',
        through: 'chroot root env --chdir="$PWD"',
        says: "no namespace may be made in a chroot (unshare of a user namespace: Operation not permitted), or by a policy of SELinux or AppArmor, which the kernel's log names (dmesg); run weft run outside of the chroot, or have the policy permit it to /usr/bin/perl",
      },
      // As container runtimes do.
      'parts of /proc that are covered': {
        prepare: 'mount --bind /dev/null /proc/interrupts; mount -t tmpfs tmpfs /proc/irq',
        says: covered,
      },
      'a /proc/sys that is read-only': {
        prepare: 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys',
        says: '/proc/sys/net/ipv6/conf/weft0/disable_ipv6 cannot be written (Read-only file system): /proc/sys is read-only here, as in a container; run it with --security-opt systempaths=unconfined (a unit: without ProtectKernelTunables=), or run weft run on the host',
      },
    };

    test.each(Object.entries(hosts))('%s', async (_, { prepare = ':', through = '', says }) => {
      expect(await forbidden(prepare, through)).toEqual({
        ...{ code: 1, stdout: '' },
        stderr: `weft: cannot make the sandbox: ${says}\n`,
      });
    });

    test('no Perl', async () => {
      expect(await forbidden('mount --bind /dev/null /usr/bin/perl', '')).toEqual({
        ...{ code: 1, stdout: '' },
        stderr: expect.stringMatching(
          /^weft: \/usr\/bin\/perl, which supervises sandboxes, cannot be run \(.*\); install it: apt-get install perl-base\n$/,
        ),
      });
    });

    /** As the user of hosts, on one that root has made so. */
    const forbidden = (prepare: string, through: string): Promise<Finished> => {
      const script = `mount --bind "$0" /mnt; cd "$1"; export PATH="/mnt/node_modules/.bin:$PATH"; set -e
${prepare}
exec ${through} setpriv --reuid=65534 --regid=65534 --clear-groups -- weft run --service web --data "$1/agent" -- echo begun`;
      return lab.startAsRoot(front, ['unshare', '--mount', 'sh', '-c', script, checkout, front.dir]).finished();
    };
  });

  test.each([
    ['a directory of its own', '/own', /^(?:No such file or directory\n)+$/],
    // The next one is seen until it is covered too.
    [
      'a directory with more in it',
      '',
      /^Connection refused\n(?:(?:reached|No such file or directory|Resource temporarily unavailable)\n(?:Connection refused\n)?)*$/,
    ],
  ])('the socket of an agent that is started again, in %s', async (_, folder, says) => {
    await agent.process.kill();
    const path = `${elsewhere}${folder}/run.sock`;
    await front.check(['sh', '-c', 'mkdir -p "$(dirname "$0")"; touch "$1/more"', path, elsewhere]);
    agent = await Agent.start(front, { config: 'services: {}', args: ['--run-socket', path] });
    const looking = `${TRIES}
import time
last = None
while True:
    try: told = stream('${path}')
    except OSError as e: told = os.strerror(e.errno)
    if told != last: print(told, flush=True)
    last = told
    time.sleep(0.02)`;
    const shut = ['weft', 'run', '--service', 'web', '--run-socket', path, '--', '/usr/bin/python3', '-c', looking];
    const program = front.start(['sh', '-c', 'cd / && exec "$@"', 'sh', ...shut]);
    await program.output(/\n/);
    const sandboxes = async () => (await agent.status<{ sandboxes: unknown[] }>()).sandboxes;
    await agent.process.kill();
    await agent.restart();
    await until('it is back', sandboxes, ({ length }) => length === 1, SETTLED_MS);
    await until(
      'it is covered',
      () => program.stdout,
      (told) => says.test(told) && !told.endsWith('reached\n'),
      SETTLED_MS,
    );
    // Whoever is not shut in finds it there.
    expect(
      (await front.run(['/usr/bin/python3', '-c', `${TRIES}\ntell('it', lambda: stream('${path}'))`])).stdout,
    ).toBe("it: 'reached'\n");
    await program.kill();
    await until('it is gone', sandboxes, ({ length }) => length === 0, SETTLED_MS);
  });
});
