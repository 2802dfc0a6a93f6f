/** Where a test's programs run: this machine as it is, or a host of its own made of a network namespace. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMAND_MS, check, type Finished, Process, run, type StartOptions } from './process.ts';

export const checkout = join(import.meta.dirname, '..', '..');

/** The folder in the package's archive, as README names it. */
export const PACKAGE = 'weft-VERSION-linux-x64';

/** The package that was made for these tests (`made-package.ts`), below the checkout; a benchmark has none. */
export const madePackage = process.env.WEFT_TEST_PACKAGE;

/** The folder of the programs `weft` and `weft-control`, below the checkout. */
export const programs = madePackage === undefined ? 'node_modules/.bin' : `${madePackage}/bin`;

/** Where a host's programs are found, and what lets them start sooner, where the checkout stands at a root. */
function environment(root: string): NodeJS.ProcessEnv {
  return {
    PATH: `${join(root, programs)}:${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
    ...(madePackage === undefined ? {} : { NODE_COMPILE_CACHE: join(root, madePackage, '../compiled') }),
  };
}

/** The user everything runs as on a made host. */
const NOBODY = '65534';

export interface Host {
  readonly name: string;
  /** The address that other hosts reach it at. */
  readonly address: string;
  /** A folder that the host's programs may write. */
  readonly dir: string;
  /** Starts a program as an ordinary user. */
  start(argv: readonly string[], options?: StartOptions): Process;
  run(argv: readonly string[], options?: StartOptions & { timeoutMs?: number }): Promise<Finished>;
  check(argv: readonly string[], options?: StartOptions & { timeoutMs?: number }): Promise<string>;
}

/** Every host of one test, and their end. */
export interface Lab extends AsyncDisposable {
  host(name: string): Promise<Host>;
}

/** Packets that are gone on a wire, and nobody says so. */
export interface Loss {
  /** Seen from the host. Default: both. */
  readonly way?: 'in' | 'out';
  /** Of packets, by chance. Default: all. */
  readonly share?: number;
  /** Only this protocol's over IPv4. */
  readonly protocol?: 'tcp' | 'udp';
  /** Only those to or from this host, over IPv4. */
  readonly peer?: Host;
}

/** A lab of made hosts can listen on their wires, too. */
export interface NamespaceLab extends Lab {
  /** `ipv6`: it has addresses of both families; `only`: of none but that, and others reach it there. */
  host(name: string, ipv6?: 'too' | 'only'): Promise<Host>;
  /** Gives the host a disk of so many bytes for a folder of its own, which is made; answers the folder. */
  disk(host: Host, folder: string, bytes: number): Promise<string>;
  /** Writes every packet of the host's interface to a file, until the answered process is stopped. */
  capture(host: Host, file: string): Promise<Process>;
  /** Lets the host's wire carry IP packets of at most so many bytes: larger ones are gone, and nobody says so. */
  narrow(host: Host, bytes: number): Promise<void>;
  /** From now on the host's wire loses what the loss says; in place of what it lost before. */
  lose(host: Host, loss: Loss): Promise<void>;
  /** The host's wire carries all again. */
  heal(host: Host): Promise<void>;
  /** Starts a program on the host as root: what makes network interfaces needs it. */
  startAsRoot(host: Host, argv: readonly string[]): Process;
}

/** Why made hosts with these programs cannot be had here, or undefined when they can. */
export async function hostsMissing(...programs: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const program of ['ip', 'tc', 'setpriv', 'sysctl', ...programs]) {
    const found = await run(['sh', '-c', 'command -v "$0"', program]);
    if (found.code !== 0) return `${program} is not installed`;
  }
  const name = `weft-probe-${process.pid}`;
  const made = await run(['ip', 'netns', 'add', name]);
  if (made.code !== 0) return `ip netns add: ${made.stderr.trim()}`;
  await run(['ip', 'netns', 'del', name]);
  return undefined;
}

/** The title of a suite; where the suite is skipped, it says why. */
export function titled(title: string, missing: string | undefined): string {
  return missing === undefined ? title : `${title} (skipped: ${missing})`;
}

/** Hosts with kernels' network stacks of their own, joined by one bridge; each with its own resolv.conf. */
export async function createNamespaceLab(): Promise<NamespaceLab> {
  const id = `w${process.pid.toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
  const dir = mkdtempSync(join(tmpdir(), 'weft-lab-'));
  await check(['chmod', '755', dir]);
  const bridge = `${id}-br`;
  const made: string[] = [];
  const processes: Process[] = [];
  const disks: string[] = [];
  const namespace = async (name: string): Promise<void> => {
    await check(['ip', 'netns', 'add', name]);
    made.push(name);
    await check(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  };
  // The bridge has a namespace of its own, so that nothing of it shows on the machine.
  await namespace(bridge);
  await check(['ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge']);
  await check(['ip', '-n', bridge, 'link', 'set', 'br0', 'up']);
  const startAsRoot = (host: Host, argv: readonly string[]): Process => {
    const started = new Process(['ip', 'netns', 'exec', `${id}-${host.name}`, ...argv]);
    processes.push(started);
    return started;
  };
  let hosts = 0;
  const ports = new Map<string, string>();
  const heal = async (host: Host): Promise<void> => {
    await run(['tc', '-n', bridge, 'qdisc', 'del', 'dev', ports.get(host.name) ?? '', 'clsact']);
  };
  return {
    startAsRoot,
    async narrow(host, bytes) {
      const port = ports.get(host.name) ?? '';
      const [middle, outer, inner] = [`m${port}`, `o${port}`, `i${port}`];
      const link = (...args: readonly string[]) => check(['ip', '-n', bridge, 'link', ...args]);
      // In the middle of the way: the host's own wire takes all that it sends.
      await link('add', middle, 'type', 'bridge');
      await link('add', outer, 'mtu', String(bytes), 'type', 'veth', 'peer', 'name', inner, 'mtu', String(bytes));
      await link('set', outer, 'master', 'br0', 'up');
      await link('set', inner, 'master', middle, 'up');
      // A bridge takes the least of its ports for its own; it hands on what each port takes.
      await link('set', middle, 'up');
      await link('set', port, 'master', middle);
      // Else the kernel hands whole batches of TCP segments over, and none of them is measured.
      await check(['ip', '-n', `${id}-${host.name}`, 'link', 'set', 'eth0', 'gso_max_segs', '1']);
    },
    async lose(host, loss) {
      await heal(host);
      const port = ports.get(host.name) ?? '';
      const tc = (...args: readonly string[]) => check(['tc', '-n', bridge, ...args]);
      await tc('qdisc', 'add', 'dev', port, 'clsact');
      // What the host sends comes into its port of the bridge.
      for (const [way, hook] of [
        ['out', 'ingress'],
        ['in', 'egress'],
      ] as const) {
        if (loss.way !== undefined && loss.way !== way) continue;
        const program = dropping(way, loss);
        await tc('filter', 'add', 'dev', port, hook, 'bpf', 'direct-action', 'bytecode', program);
      }
    },
    heal,
    async disk(host, folder, bytes) {
      const at = join(host.dir, folder);
      mkdirSync(at);
      await check(['mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=700,uid=${NOBODY},gid=${NOBODY}`, 'tmpfs', at]);
      disks.push(at);
      return at;
    },
    async host(name, ipv6) {
      const ns = `${id}-${name}`;
      const number = 10 + ++hosts;
      const port = `p${number}`;
      const addresses = [
        ...(ipv6 === 'only' ? [] : [`10.213.7.${number}/24`]),
        ...(ipv6 === undefined ? [] : [`fd00:213:7::${number}/64`]),
      ];
      const address = addresses[0]?.split('/')[0] ?? '';
      ports.set(name, port);
      await namespace(ns);
      await check(['ip', '-n', bridge, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns]);
      await check(['ip', '-n', bridge, 'link', 'set', port, 'master', 'br0', 'up']);
      // Without detection of duplicates an address of IPv6 is there at once.
      for (const each of addresses) {
        const once = each.includes(':') ? ['nodad'] : [];
        await check(['ip', '-n', ns, 'address', 'add', each, 'dev', 'eth0', ...once]);
      }
      await check(['ip', '-n', ns, 'link', 'set', 'eth0', 'up']);
      // DNS on port 53 by an ordinary user: the one setting an operator makes, once, to have names without a port.
      await check(['ip', 'netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=53']);
      mkdirSync(join('/etc/netns', ns), { recursive: true });
      writeFileSync(
        join('/etc/netns', ns, 'resolv.conf'),
        'nameserver 127.0.0.1\nsearch internal\noptions timeout:1 attempts:3\n',
      );
      const home = join(dir, name);
      mkdirSync(home);
      await check(['chown', NOBODY, home]);
      return new NamespaceHost(name, ns, address, home, processes);
    },
    async capture(host, file) {
      const argv = ['tcpdump', '-Z', 'root', '-U', '--immediate-mode', '-i', 'eth0', '-s', '0', '-w', file];
      const tcpdump = startAsRoot(host, argv);
      await tcpdump.output(/listening on/);
      return tcpdump;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map((one) => one.kill()));
      for (const ns of made) {
        await run(['ip', 'netns', 'del', ns]);
        rmSync(join('/etc/netns', ns), { recursive: true, force: true });
      }
      for (const disk of disks) await run(['umount', disk]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A classic BPF program, as tc takes it: drops the packets of Ethernet that pass all its tests, and lets the others be. */
function dropping(way: 'in' | 'out', { share = 1, protocol, peer }: Loss): string {
  const [LOAD_BYTE, LOAD_HALF, LOAD_WORD, EQUAL, AT_LEAST, RETURN] = [48, 40, 32, 21, 53, 6];
  const tests: (readonly [load: number, at: number, jump: number, value: number])[] = [];
  if (protocol !== undefined || peer !== undefined) tests.push([LOAD_HALF, 12, EQUAL, 0x0800]);
  if (protocol !== undefined) tests.push([LOAD_BYTE, 23, EQUAL, protocol === 'tcp' ? 6 : 17]);
  if (peer !== undefined) {
    const address = peer.address.split('.').reduce((word, byte) => word * 256 + Number(byte), 0);
    tests.push([LOAD_WORD, way === 'out' ? 30 : 26, EQUAL, address]);
  }
  // A number by chance, of 32 bits: SKF_AD_OFF + SKF_AD_RANDOM.
  if (share < 1) tests.push([LOAD_WORD, 0xfffff038, AT_LEAST, Math.floor((1 - share) * 2 ** 32)]);
  const lines = tests.flatMap(([load, at, jump, value], index) => {
    const toPass = 2 * (tests.length - index - 1) + 1;
    return [`${load} 0 0 ${at}`, `${jump} 0 ${toPass} ${value}`];
  });
  // TC_ACT_SHOT, TC_ACT_OK
  lines.push(`${RETURN} 0 0 2`, `${RETURN} 0 0 0`);
  return [lines.length, ...lines].join(',');
}

class NamespaceHost implements Host {
  readonly name: string;
  readonly address: string;
  readonly dir: string;
  readonly namespace: string;
  private readonly processes: Process[];

  constructor(name: string, namespace: string, address: string, dir: string, processes: Process[]) {
    this.name = name;
    this.namespace = namespace;
    this.address = address;
    this.dir = dir;
    this.processes = processes;
  }

  start(argv: readonly string[], options: StartOptions = {}): Process {
    // The checkout is mounted where any user may look, for it may stand in a folder that only root may enter.
    const script =
      'mount --bind "$0" /mnt && cd /mnt && exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"';
    const started = new Process(['ip', 'netns', 'exec', this.namespace, 'sh', '-c', script, checkout, ...argv], {
      ...options,
      env: { ...process.env, HOME: this.dir, ...options.env, ...environment('/mnt') },
    });
    this.processes.push(started);
    return started;
  }

  async run(argv: readonly string[], options: StartOptions & { timeoutMs?: number } = {}): Promise<Finished> {
    return this.start(argv, options).finished(options.timeoutMs ?? COMMAND_MS);
  }

  async check(argv: readonly string[], options: StartOptions & { timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0) throw new Error(`on ${this.name}: ${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }
}

/** This machine as every host: each "host" is told apart by its folder, ports and VIP range only. Needs no root. */
export function createLocalLab(): Lab {
  const dir = mkdtempSync(join(tmpdir(), 'weft-lab-'));
  const processes: Process[] = [];
  return {
    async host(name) {
      const home = join(dir, name);
      mkdirSync(home);
      const start = (argv: readonly string[], options: StartOptions = {}): Process => {
        const started = new Process(argv, {
          cwd: checkout,
          ...options,
          env: {
            ...process.env,
            HOME: home,
            ...options.env,
            ...environment(checkout),
          },
        });
        processes.push(started);
        return started;
      };
      const runHere: Host['run'] = (argv, options = {}) =>
        start(argv, options).finished(options.timeoutMs ?? COMMAND_MS);
      return {
        name,
        address: '127.0.0.1',
        dir: home,
        start,
        run: runHere,
        async check(argv, options = {}) {
          const { code, stdout, stderr } = await runHere(argv, options);
          if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
          return stdout;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map((one) => one.kill()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
