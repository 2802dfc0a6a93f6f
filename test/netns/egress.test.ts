/** What leaves the mesh from a sandbox: real clients of the internet, and an internet of the test's own. */

import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Finished } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';
import { serveInternet } from './internet.ts';

const missing = await hostsMissing('nft', 'perl', 'curl', 'apt-get', 'dpkg-deb', 'npm', 'openssl', 'dnsmasq', 'dig');

const MESH = `
network: prod
services:
  web:   { kind: web, ports: [3000] }
  redis: { kind: private, ports: [6379] }
`;
/** Of the internet, which --egress opens; and for documentation, which is not the internet to anybody. */
const [SHOP, MIRROR] = ['193.0.6.139', '194.0.6.139'];
const DOCUMENTED = '198.51.100.7';
/** What is no internet, with a server at each all the same, and why it is none. */
const REFUSED = {
  [DOCUMENTED]: 'for documentation (RFC 5737)',
  '169.254.169.254': "link-local, and clouds' metadata (RFC 3927)",
  '10.9.9.9': 'a private network (RFC 1918)',
  '192.168.1.1': 'a private network (RFC 1918)',
  '100.64.0.1': "a provider's own network (RFC 6598)",
};
/** Of curl, as the reset comes while it connects, or when it has. */
const RESET = /^curl: \((?:7|35|52|56)\)/;

interface Ended {
  readonly command: string;
  /** Its last line. */
  readonly said: string;
}

describe.skipIf(missing !== undefined)(titled('weft run --egress', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let box: Host;
  let far: Host;
  let agent: Agent;

  const asRoot = async (host: Host, ...argv: readonly string[]): Promise<void> => {
    const { code, stderr } = await lab.startAsRoot(host, argv).finished(5_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  };
  /** In a sandbox; what it was started with stands before `--`. */
  const run = (options: readonly string[], ...command: readonly string[]): Promise<Finished> =>
    box.run([
      'sh',
      '-c',
      `cd "$HOME" && exec weft run --service web --data agent "$@"`,
      'run',
      ...options,
      '--',
      ...command,
    ]);
  const egress = (...command: readonly string[]) => run(['--egress'], ...command);
  const curl = ['curl', '-sS', '--max-time', '10'];
  const get = (url: string) => `curl -sS --max-time 10 ${url}`;
  const talk = (address: string) => `node /mnt/test/fixtures/udp-talk.ts 2 443 ${address}`;
  /** Each in the same sandbox: what it said last. */
  const each = async (options: readonly string[], commands: readonly string[]): Promise<readonly Ended[]> => {
    const script = `for command; do
  said=$(sh -c "$command" 2>&1 | tail -1 | tr '\\t' ' ')
  printf '%s\\t%s\\n' "$command" "$said"
done`;
    const { code, stdout, stderr } = await run(options, 'sh', '-c', script, 'each', ...commands);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [command = '', said = ''] = line.split('\t');
        return { command, said };
      });
  };
  const refused = async (options: readonly string[], commands: readonly string[], says: RegExp): Promise<void> => {
    const all = await each(options, commands);
    expect(all.map(({ command }) => command)).toEqual(commands);
    for (const ended of all) {
      expect(ended).toMatchObject({ said: expect.stringMatching(says) });
    }
  };
  const listed = async (...options: readonly string[]): Promise<readonly Record<string, unknown>[]> => {
    const lines = await control.ok('flows', '--network', 'prod', '--json', ...options);
    return lines.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  };
  const flows = () => listed('--limit', '1000');

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    [box, far] = [await lab.host('box'), await lab.host('far')];
    await serveInternet(far.dir, MIRROR);
    copyFileSync(join(far.dir, 'cert.pem'), join(box.dir, 'cert.pem'));
    for (const address of [SHOP, MIRROR, ...Object.keys(REFUSED)]) {
      await asRoot(far, 'ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
      await asRoot(box, 'ip', 'route', 'add', address, 'via', far.address);
    }
    await far
      .start(['node', 'test/fixtures/internet.ts', far.dir, SHOP, MIRROR, far.address, ...Object.keys(REFUSED)])
      .output(/ready/);
    await far.start(dnsmasq).output(/started/);
    // Of this very host, which is not to be reached.
    await Promise.all([
      box.start(['node', 'test/fixtures/echo-server.ts', '9000']).output(/ready/),
      box.start(['node', 'test/fixtures/internet.ts', far.dir, box.address]).output(/ready/),
    ]);
    agent = await Agent.start(box, {
      token: await control.token('--host', 'box', '--services', 'web'),
      config: `services: { web: {} }\ndns: { upstream: ["${far.address}"] }`,
    });
  });
  afterAll(async () => cleanup.disposeAsync());

  const dnsmasq = [
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=', '--group='],
    ...['--pid-file=', '--log-facility=-', `--address=/shop.example/${SHOP}`, `--address=/mirror.example/${MIRROR}`],
    ...['--address=/shop.example/2001:db8::7', '--address=/rebound.example/127.0.0.1'],
  ];

  test('nothing of it is there without --egress, and is refused at once', async () => {
    const addresses = [SHOP, far.address, box.address, '169.254.169.254', '192.0.0.1'];
    await refused([], [get('http://shop.example/')], /^curl: \(6\)/);
    await refused(
      [],
      addresses.map((address) => get(`http://${address}/`)),
      /^curl: \(7\)/,
    );
    await refused([], [SHOP, far.address, box.address].map(talk), /ENETUNREACH|EACCES/);
    await refused([], [`dig @${SHOP} +tries=1 +time=1 shop.example`], /no servers could be reached|unreachable/);
  });

  test('curl gets there by name and by address, by HTTP and HTTPS, and comes from the host', async () => {
    const asked = `asked by ${box.address}\n`;
    for (const [url, from] of [
      ['http://shop.example/', SHOP],
      [`http://${MIRROR}/`, MIRROR],
      ['https://shop.example/', SHOP],
      [`https://${MIRROR}/`, MIRROR],
    ] as const) {
      const { code, stdout, stderr } = await egress(...curl, '--cacert', 'cert.pem', url);
      expect({ url, code, stdout, stderr }).toEqual({ url, code: 0, stdout: `${from}, ${asked}`, stderr: '' });
    }
    const ended = await until(
      'all are recorded',
      flows,
      (records) => records.filter(({ service, verdict }) => service === 'internet' && verdict === 'allow').length >= 4,
      SETTLED_MS,
    );
    expect(ended.find(({ detail }) => String(detail).startsWith(`to ${MIRROR}:443`))).toMatchObject({
      ...{ source: 'web', source_host: 'box', service: 'internet', port: 443, protocol: 'tcp', verdict: 'allow' },
      ...{ rule: 'builtin:egress', bytes_received: expect.toSatisfy((bytes: number) => bytes > 500) },
    });
  });

  test('megabytes come whole', async () => {
    const { stdout } = await egress('sh', '-c', `curl -sS http://shop.example/large | sha256sum`);
    const large = readFileSync(join(far.dir, 'files', 'large'));
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(large).digest('hex'));
  });

  test('apt’s http method fetches from a repository, and npm installs from a registry', async () => {
    const apt = `
set -e
mkdir -p apt/lists/partial apt/archives/partial
printf 'deb [trusted=yes] http://mirror.example/debian ./\\n' > apt/sources.list
cat > apt/apt.conf <<END
Dir "$PWD/apt";
Dir::Etc::SourceList "$PWD/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$PWD/apt";
Dir::State::status "$PWD/apt/status";
Dir::Cache "$PWD/apt";
APT::Sandbox::User "";
END
: > apt/status
export APT_CONFIG="$PWD/apt/apt.conf"
apt-get -q update
apt-get -q download weft-sample
ls weft-sample_1.0_all.deb`;
    const fetched = await egress('sh', '-c', apt);
    expect(fetched).toEqual({
      code: 0,
      stderr: expect.anything(),
      stdout: expect.stringMatching(/weft-sample_1\.0_all\.deb\n$/),
    });

    const npm = `
mkdir -p project && cd project && printf '{"name":"project","version":"1.0.0"}' > package.json
npm install --registry http://shop.example/npm/ --cache "$PWD/cache" --no-audit --no-fund --no-update-notifier left-out
exec node -p "require('left-out')"`;
    const installed = await egress('sh', '-c', npm);
    expect(installed).toEqual({ code: 0, stderr: expect.anything(), stdout: expect.stringMatching(/42\n$/) });
  });

  test('UDP goes both ways, to two places from one socket, as QUIC does', async () => {
    const { code, stdout } = await egress('node', '/mnt/test/fixtures/udp-talk.ts', '5', '443', SHOP, MIRROR);
    expect(code).toBe(0);
    const expected = [SHOP, MIRROR].flatMap((at) =>
      Array.from({ length: 5 }, (_, word) => `${at}:443 ${at}: word ${word}`),
    );
    expect(stdout.trim().split('\n').sort()).toEqual(expected.sort());
  });

  test('names are asked of another server too, by UDP and TCP, and no address of IPv6 is told of', async () => {
    for (const over of ['+notcp', '+tcp']) {
      const { stdout } = await egress('dig', `@${SHOP}`, over, '+short', 'mirror.example');
      expect([over, stdout]).toEqual([over, `${MIRROR}\n`]);
    }
    const { stdout } = await egress('dig', 'AAAA', 'shop.example');
    expect(stdout).toMatch(/status: NOERROR/);
    expect(stdout).not.toMatch(/2001:db8/);
    expect((await egress('dig', '+short', 'rebound.example')).stdout).toBe('');
    // An address of IPv6 that is known otherwise is refused before anything is sent, so that who has one of IPv4 too goes on to that.
    const both = `--resolve both.example:80:[2001:db8::7],${SHOP}`;
    const [six, datagram, either] = await each(
      ['--egress'],
      [
        get(`-6 ${both} http://both.example/`),
        `node -e 'const tell = ({ code }) => process.exit(console.log(code)); require("dgram").createSocket("udp6").on("error", tell).connect(443, "2001:db8::7")'`,
        get(`${both} http://both.example/`),
      ],
    );
    expect(six?.said).toMatch(/^curl: \(7\) /);
    expect(datagram?.said).toBe('ENETUNREACH');
    expect(either?.said).toBe(`${SHOP}, asked by ${box.address}`);
  });

  test('this host, its network, metadata and what is not the internet are refused at once, and recorded', async () => {
    const why = {
      ...REFUSED,
      [far.address]: "this host's network 10.213.7.0/24, of eth0",
      [box.address]: 'this host itself',
    };
    const near = Object.keys(why);
    // Outside of a sandbox each is there, by TCP and UDP.
    const commands = [...near.map((at) => get(`http://${at}/`)), talk(near.join(' '))];
    const outside = await box.check(['sh', '-c', 'for command; do sh -c "$command"; done', 'outside', ...commands]);
    for (const at of near) {
      expect(outside).toContain(`${at}, asked by `);
      expect(outside).toContain(`${at}:443 ${at}: word 1\n`);
    }
    await refused(
      ['--egress'],
      [...near, `${box.address}:7410`].map((at) => get(`http://${at}/`)),
      RESET,
    );
    // There it is the program's own loopback.
    await refused(['--egress'], [get('http://127.0.0.1:9000/')], /^curl: \(7\)/);
    const udp = [far.address, box.address, DOCUMENTED, '169.254.169.254', '224.0.0.251'];
    await refused(['--egress'], udp.map(talk), /EACCES|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED/);
    const never = ['169.254.169.254', box.address];
    const reasons = Object.entries(why).map(
      ([at, what]) =>
        `to ${at}:80: ${at} is ${what}${never.includes(at) ? ', which no sandbox reaches' : `; --egress-to ${at}:80/tcp opens it`}`,
    );
    const denied = await until(
      'denials are recorded',
      flows,
      (records) => reasons.every((reason) => records.some(({ detail }) => detail === reason)),
      SETTLED_MS,
    );
    for (const reason of reasons)
      expect(denied.find(({ detail }) => detail === reason)).toMatchObject({
        ...{ source: 'web', service: 'internet', verdict: 'deny', rule: 'builtin:egress', outcome: 'denied' },
      });
  });

  test('--egress-to opens what it names and no more, and never this host', async () => {
    const mirror = ['--egress-to', `${DOCUMENTED}:80/tcp`];
    const [opened] = await each(mirror, [get(`http://${DOCUMENTED}/`)]);
    expect(opened?.said).toMatch(`${DOCUMENTED}, asked by`);
    await refused(mirror, [get(`https://${DOCUMENTED}/`), get(`http://${SHOP}/`)], RESET);
    await refused(mirror, [talk(SHOP), talk(DOCUMENTED)], /EACCES|EHOSTUNREACH/);
    const all = ['--egress-to', '0.0.0.0/0'];
    expect((await each(all, [get(`http://${far.address}/`)]))[0]?.said).toMatch(`${far.address}, asked by`);
    await refused(all, [get(`http://${box.address}:7410/`), get('http://169.254.169.254/')], RESET);
    await refused(all, [talk(box.address)], /EACCES|EHOSTUNREACH/);
    expect(await run(['--egress-to', '127.0.0.1'], 'true')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/cannot open 127\.0\.0\.1/),
    });
  });

  test('where nothing listens out there, or nobody answers, the program hears of it, and so does the record', async () => {
    await refused(['--egress'], [get(`http://${SHOP}:81/`)], RESET);
    await until('it is recorded', flows, (records) =>
      records.some(
        ({ outcome, detail }) => outcome === 'not-listening' && detail === `to ${SHOP}:81: connection refused`,
      ),
    );
  });

  test('what is open is seen, and goes with its sandbox, whoever is killed', async () => {
    const waiting = `node -e 'require("node:net").connect(80, "${SHOP}").on("connect", () => console.log("open"));
require("node:dgram").createSocket("udp4").on("message", () => console.log("heard")).send("word", 443, "${MIRROR}")'`;
    const script = 'cd "$HOME" && exec weft run --service web --data agent --egress -- sh -c "$0"';
    const sandbox = box.start(['sh', '-c', script, waiting]);
    await Promise.all([sandbox.output(/open/), sandbox.output(/heard/)]);
    const open = () => listed('--open');
    const found = await until('both are told of', open, ({ length }) => length === 2, SETTLED_MS);
    expect(found).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ source: 'web', service: 'internet', port: 80, protocol: 'tcp' }),
        expect.objectContaining({ source: 'web', service: 'internet', port: 443, protocol: 'udp' }),
      ]),
    );
    // A service that nothing serves is a break, and its exit code.
    const shut = async () =>
      JSON.parse((await box.run(['weft', 'status', '--data', join(box.dir, 'agent'), '--json'])).stdout);
    expect((await shut()).agent.sandboxes).toMatchObject([{ service: 'web', egress: { streams: 1, pairs: 1 } }]);
    await sandbox.kill();
    await until('both are over', open, ({ length }) => length === 0, SETTLED_MS);
    const ended = await until('and recorded', flows, (records) =>
      records.some(({ detail }) => String(detail).startsWith(`to ${MIRROR}:443: the sandbox ended`)),
    );
    expect(
      ended.some(({ detail, outcome }) => String(detail).startsWith(`to ${SHOP}:80:`) && outcome === 'reset'),
    ).toBe(true);
  });

  test('an agent that is killed and started again carries on for the same program', async () => {
    const asking = `while sleep 0.2; do curl -sS --max-time 3 http://shop.example/; node /mnt/test/fixtures/udp-talk.ts 1 443 ${MIRROR}; done 2>&1`;
    const script = 'cd "$HOME" && exec weft run --service web --data agent --egress -- sh -c "$0"';
    const sandbox = box.start(['sh', '-c', script, asking]);
    const [tcp, udp] = [new RegExp(`${SHOP}, asked by`), new RegExp(`${MIRROR}:443 `)];
    await Promise.all([sandbox.output(tcp), sandbox.output(udp)]);
    await agent.process.kill();
    await agent.restart();
    sandbox.stdout = '';
    await Promise.all([sandbox.output(tcp, 15_000), sandbox.output(udp, 15_000)]);
    await sandbox.kill();
  });

  /** With that file in the place of the host's nft, as its user. */
  const withNft = (file: string): Promise<Finished> => {
    const script = `mount --bind "$2" "$(command -v nft)" && mount --bind "$0" /mnt && cd "$1/" && export PATH="/mnt/node_modules/.bin:$PATH" &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups -- weft run --service web --data agent --egress -- touch begun`;
    const checkout = join(import.meta.dirname, '..', '..');
    return lab.startAsRoot(box, ['unshare', '--mount', 'sh', '-c', script, checkout, box.dir, file]).finished(10_000);
  };

  test('a kernel that does not take the rules is told of, before the program starts', async () => {
    const refuses = join(box.dir, 'refuses');
    const said = '#!/bin/sh\necho "Error: Could not process rule: No such file or directory" >&2; exit 1\n';
    writeFileSync(refuses, said, { mode: 0o755 });
    const { code, stderr } = await withNft(refuses);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/Could not process rule: No such file or directory\).*modprobe nft_tproxy/),
    });
    expect(await box.run(['test', '-e', join(box.dir, 'begun')])).toMatchObject({ code: 1 });
  });

  test('without nft it is refused before anything starts, with what to install', async () => {
    const { code, stderr } = await withNft('/dev/null');
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/nft.*apt-get install nftables/) });
    expect(await box.run(['test', '-e', join(box.dir, 'begun')])).toMatchObject({ code: 1 });
  });
});
