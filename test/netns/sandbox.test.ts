/** `weft run`: real programs that are shut in with the mesh, as an ordinary user, and what they can and cannot reach. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostsMissing, titled } from '../harness/host.ts';
import { MESH, SANDBOX_PROGRAMS, SandboxHosts } from './sandbox-hosts.ts';

const missing = await hostsMissing(...SANDBOX_PROGRAMS);

describe.skipIf(missing !== undefined)(titled('programs in sandboxes', missing), () => {
  const hosts = new SandboxHosts();
  const { argv, run, shell, start } = hosts;

  test('calls services by name, TCP and UDP, as the service that it runs as', async () => {
    expect(await shell('redis-cli -h redis ping')).toBe('PONG\n');
    const web = (await shell("getent hosts web.internal | cut -d' ' -f1")).trim();
    expect(web).toMatch(/^127\.80\./);
    expect(await shell('nc -w2 echo 7000; nc -w2 echo 80; echo -n hi | timeout 2 nc -u -w1 echo 7000')).toBe(
      `${web}\n${web}\n${web} hi`,
    );
  });

  test('answers names of the network alone, at once, to glibc and by DNS over UDP and TCP', async () => {
    expect(await shell('getent hosts redis; getent hosts example.com; echo $?')).toMatch(
      /^127\.80\.\d+\.\d+ +redis\.internal\n2\n$/,
    );
    // Its own name too: only the host's is its own end of the wire.
    expect(await shell('getent hosts web web.internal | cut -d" " -f1 | uniq; echo "$WEB_HOST"')).toMatch(
      /^(127\.80\.\d+\.\d+)\n\1\n$/,
    );
    expect(await shell('hostname; hostname -f; getent hosts "$(hostname)"')).toMatch(
      /^0-web\n0-web\n192\.0\.0\.2 +0-web\n$/,
    );
    expect(await shell('dig +short +tcp redis.internal; dig +noall +comments example.com | grep -o NXDOMAIN')).toMatch(
      /^127\.80\.\d+\.\d+\nNXDOMAIN\n$/,
    );
  });

  test('a denied call is reset at once, and the record names the service', async () => {
    await hosts.control.apply(MESH('policies: [{ name: no-redis, action: deny, from: [web], to: [redis] }]'), '--wait');
    const { stderr } = await run('web', ['redis-cli', '-h', 'redis', 'ping']);
    expect(stderr).toMatch(/reset|closed/i);
    expect(await shell('redis-cli -h redis ping', 'mailer')).toBe('PONG\n');
    const { flows } = JSON.parse(
      `{"flows":[${(await hosts.control.ok('flows', '--denied', '--json')).split('\n').join(',')}]}`,
    ) as { flows: { source: string; service: string; rule: string; program?: string }[] };
    expect(flows[0]).toMatchObject({
      source: 'web',
      service: 'redis',
      rule: 'no-redis',
      program: expect.stringMatching(/\/redis-cli$/),
    });
    await hosts.control.apply(MESH(), '--wait');
    expect(await shell('redis-cli -h redis ping')).toBe('PONG\n');
  });

  test('sees nothing of the host, its network and its sockets', async () => {
    const listen = 'require("net").createServer((s) => s.end("host")).listen';
    const everywhere = ['node', '-e', `${listen}(9999, "0.0.0.0", () => console.log("ready"))`];
    const host = start(everywhere);
    const abstract = start(['node', '-e', `${listen}("\\0weft-test", () => console.log("ready"))`]);
    const path = start(['node', '-e', `${listen}("${hosts.front.dir}/host.sock", () => console.log("ready"))`]);
    const near = start(everywhere, {}, hosts.data);
    await Promise.all([host, abstract, path, near].map((each) => each.output(/ready/)));
    // A cloud's metadata, and the internet: both beyond the host's wire.
    const far = ['169.254.169.254', '8.8.8.8'];
    for (const address of far) {
      await hosts.lab.startAsRoot(hosts.data, ['ip', 'address', 'add', `${address}/32`, 'dev', 'lo']).finished();
      await hosts.lab.startAsRoot(hosts.front, ['ip', 'route', 'add', address, 'via', hosts.data.address]).finished();
    }
    const places = [hosts.front.address, hosts.data.address, '127.0.0.1', ...far];
    const files = ['', 'agent.sock', 'run.sock'].map((name) => join(hosts.agent.dataDir, name));
    const connects = `
import os, socket, ctypes, json
def tell(what, how):
    try: told = repr(how())
    except OSError as e: told = os.strerror(e.errno) if e.errno else str(e)
    print(what + ': ' + told)
def unix(at):
    s = socket.socket(socket.AF_UNIX); s.connect(at); return s.recv(9)
for at in json.loads('${JSON.stringify(places)}'): tell(at, lambda: socket.create_connection((at, 9999), 5).recv(9))
tell('abstract', lambda: unix('\\0weft-test'))
tell('path', lambda: unix('${hosts.front.dir}/host.sock'))
`;
    // All of it is there, for who is not shut in.
    const outside = await hosts.front.check(['/usr/bin/python3', '-c', connects]);
    expect(outside).toBe([...places, 'abstract', 'path'].map((place) => `${place}: b'host'\n`).join(''));
    const tries = `${connects}
tell('192.0.0.1', lambda: socket.create_connection(('192.0.0.1', 9999), 5))
for at in json.loads('${JSON.stringify(files)}'): tell(at, lambda: os.stat(at))
tell('bus', lambda: os.stat('/run/dbus/system_bus_socket'))
tell('vsock', lambda: socket.socket(40, 1))
libc = ctypes.CDLL(None, use_errno=True)
tell('ring', lambda: (libc.syscall(425, 1, 0), ctypes.get_errno()))
tell('trace', lambda: (libc.ptrace(16, ${host.pid}, 0, 0), ctypes.get_errno()))
tell('signal', lambda: os.kill(${host.pid}, 0))
tell('root', lambda: os.listdir('/proc/${host.pid}/root'))
tell('first', lambda: os.listdir('/proc/1/root/run'))
`;
    const told = (await run('web', ['python3', '-c', tries])).stdout;
    for (const place of [...places, '192.0.0.1'])
      expect(told).toMatch(new RegExp(`^${place}: (Connection refused|Network is unreachable)$`, 'm'));
    for (const file of [...files, 'bus', 'path', 'root']) expect(told).toContain(`${file}: No such file or directory`);
    expect(told).toContain('abstract: Connection refused');
    // To the machine that this one runs on; and what makes sockets that no filter sees.
    expect(told).toContain('vsock: Address family not supported by protocol\nring: (-1, 38)');
    expect(told).toContain('trace: (-1, 3)\nsignal: No such process');
    expect(told).toContain('first: Permission denied');
    const seen = (await shell('ls /proc | grep -E "^[0-9]+$" | tr "\\n" " "')).trim().split(' ').map(Number);
    expect(Math.max(...seen)).toBeLessThan(20);
    expect(await shell('grep -E "Cap(Prm|Eff|Bnd)|NoNewPrivs" /proc/self/status | tr -d "\\n"')).toMatch(
      /CapPrm:\t0+CapEff:\t0+CapBnd:\t0+NoNewPrivs:\t1/,
    );
    // A namespace of its own gives no way back to what is covered, and no interface.
    expect(
      await shell(
        `unshare -Urnm sh -c "umount /run; ls /run/dbus; ip link set lo up; nc -w1 ${hosts.front.address} 9999" 2>&1; true`,
      ),
    ).not.toMatch(/host|system_bus/);
  });

  test('a program that listens on every address is reached by nothing', async () => {
    const server = start(
      argv(
        'mailer',
        'python3',
        '-c',
        'import socket\nl = socket.create_server(("0.0.0.0", 8080))\nprint("ready", flush=True)\nwhile True:\n  c, a = l.accept(); print("CALLED", a, flush=True); c.close()',
      ),
    );
    await server.output(/ready/);
    for (const address of [hosts.front.address, '127.0.0.1', '192.0.0.2'])
      expect((await hosts.front.run(['nc', '-w1', address, '8080'])).code, address).not.toBe(0);
    expect((await hosts.data.run(['nc', '-w1', hosts.front.address, '8080'])).code).not.toBe(0);
    expect(await shell('nc -w1 192.0.0.2 8080; echo $?')).toMatch(/1\n$/);
    expect(server.stdout).toBe('ready\n');
    await server.kill();
  });
});
