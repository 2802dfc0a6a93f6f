/** Hosts that are not as most are: of IPv6 alone, with few ports for calls, copied, on a disk that is full. */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { echoes, serveEcho } from '../harness/programs.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc');

const mesh = (rules = '') => `
network: prod
services:
  echo: { kind: private, ports: [7000, 7001/udp] }
  web:  { kind: private, ports: [3000] }
${rules}
`;
/** For calls that a program makes without asking for a port. */
const PORTS = 200;
const DENIED = mesh('policies: [{ name: closed, action: deny, from: [web], to: [echo] }]');

describe.skipIf(missing !== undefined)(titled('odd hosts', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let web: Host;
  let dataAgent: Agent;
  let webAgent: Agent;
  let clone: Agent;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main', 'only'));
    await control.apply(mesh());
    [data, web] = [await lab.host('data', 'only'), await lab.host('web', 'too')];
    await lab.disk(data, 'agent', 512 * 1024);
    await lab
      .startAsRoot(data, ['sysctl', '-qw', `net.ipv4.ip_local_port_range=40000 ${40_000 + PORTS - 1}`])
      .finished();
    await serveEcho(data);
    dataAgent = await Agent.join(control, data, ['echo']);
    webAgent = await Agent.join(control, web, ['web']);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('a host of IPv6 alone joins, calls and is called with default flags', async () => {
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
    await web.check(['node', 'test/fixtures/udp-echo.ts', 'ask', 'echo', '7001', '1', '1200', '9000'], {
      timeoutMs: 10_000,
    });
    expect(await dataAgent.problems()).toEqual([]);
    // No program of web is there.
    expect(await webAgent.problems()).toEqual(['target-not-listening']);
    expect((await webAgent.status()).tunnel.peers).toMatchObject([{ host: 'data', tunnels: 1 }]);
  });

  test('a service that is called more often than its host has ports leaves some to other programs', async () => {
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
    const calls = (host: string, count: number) =>
      `let calls = ${count};
      const call = () => calls-- > 0 && require('node:net').connect(7000, '${host}').end('hi').resume().on('close', call);
      call();`;
    await web.check(['node', '-e', calls('echo', PORTS + 50)], { timeoutMs: 30_000 });
    await data.check(['node', '-e', calls('127.0.0.1', 20)], { timeoutMs: 10_000 });
  });

  test('of two hosts with one copied directory one is sent away, and both are told of', async () => {
    const copy = await lab.host('copy', 'only');
    await serveEcho(copy);
    cpSync(dataAgent.dataDir, join(copy.dir, 'agent'), { recursive: true });
    execFileSync('chown', ['-R', '65534:65534', join(copy.dir, 'agent')]);
    execFileSync('chmod', ['700', join(copy.dir, 'agent')]);
    clone = await Agent.start(copy, { config: 'services: { echo: {} }' });
    const [told] = await control.process.output(/.*"agent-twice".*/);
    for (const { address } of [data, copy]) expect(told).toContain(`[${address}]:`);
    await until(
      'the clone is told',
      () => clone.problems(),
      (codes) => codes.includes('held-off'),
    );
    const problem = async () => {
      const { agents } = JSON.parse(await control.ok('agents', '--json')) as {
        agents: { connected: boolean; report: { problems: { code: string; message: string }[] } }[];
      };
      expect(agents.map(({ connected }) => connected)).toEqual([true, true]);
      return agents.flatMap(({ report }) => report.problems).find(({ code }) => code === 'agent-twice');
    };
    await until('the operator is told', problem, (one) => one?.message.includes(`[${data.address}]:`) === true);
    for (let call = 0; call < 6; call++) expect(await echoes(web)).toBe(true);
    await lab.startAsRoot(copy, ['ip', 'address', 'flush', 'dev', 'eth0']).finished();
    expect(await echoes(web)).toBe(true);
  });

  test('where an agent’s disk is full a deny is enforced, and what was kept before it is put out of the way', async () => {
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
    const fill = join(dataAgent.dataDir, 'fill');
    const before = readFileSync(join(dataAgent.dataDir, 'netmap.json'), 'utf8');
    await data.run(['sh', '-c', 'cat /dev/zero > "$0"', fill]);
    const applied = await control.weft('apply', '-f', control.meshFile(DENIED), '--wait', '--timeout', '15s');
    expect(await echoes(web)).toBe(false);
    // What permitted more was put out of the way, by whose room the newer one may be kept a moment later.
    expect(readFileSync(join(dataAgent.dataDir, 'netmap.json'), 'utf8')).not.toContain(before);
    rmSync(fill);
    await until(
      'it is written',
      () => dataAgent.problems(),
      (codes) => !codes.includes('netmap-not-kept'),
      SETTLED_MS,
    );
    await until(
      'control hears of it',
      () => control.ok('agents'),
      (text) => !/not kept/.test(text),
    );
    await Promise.all([dataAgent.process.kill(), webAgent.process.kill(), control.process.kill()]);
    await Promise.all([dataAgent.restart(), webAgent.restart()]);
    const [, revision] = /revision (\d+)/.exec(applied.stdout) ?? [];
    expect((await dataAgent.status()).revision).toBe(Number(revision));
    expect(await echoes(web)).toBe(false);
  });

  test('a host that no address leaves says so', async () => {
    await until(
      'the problem stands',
      () => clone.problems(),
      (codes) => codes.includes('no-endpoint'),
      SETTLED_MS,
    );
  });
});
