/** Real kills on real hosts, under traffic. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc');

const mesh = (rules = '') => `
network: prod
services:
  echo: { kind: private, ports: [7000] }
  web:  { kind: web, ports: [3000] }
${rules}
`;

describe.skipIf(missing !== undefined)(titled('kills under traffic', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let web: Host;
  let laptop: Host;
  let dataAgent: Agent;
  let webAgent: Agent;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(mesh());
    [data, web, laptop] = [await lab.host('data'), await lab.host('web'), await lab.host('laptop')];
    await data.start(['node', 'test/fixtures/echo-server.ts', '7000']).output(/ready/);
    const token = (...scope: string[]) => control.ok('token', 'create', '--network', 'prod', ...scope);
    dataAgent = await Agent.start(data, {
      token: await token('--host', 'data', '--services', 'echo'),
      config: 'services: { echo: {} }',
    });
    webAgent = await Agent.start(web, {
      token: await token('--host', 'web', '--services', 'web'),
      config: 'services: { web: {} }',
    });
    await Agent.start(laptop, { token: await token('--host', 'laptop') });
    await until('echo answers', () => echo(web), Boolean, SETTLED_MS);
  }, 120_000);
  afterAll(async () => cleanup.disposeAsync());

  const echo = async (from: Host): Promise<boolean> =>
    (await from.run(['sh', '-c', 'echo hi | timeout 2 nc -q1 echo 7000'])).stdout === 'hi\n';

  /** What the ping loop counts now. */
  const counts = async (traffic: Process): Promise<{ open: number; broken: number; fewest: number }> => {
    const told = traffic.stdout.length;
    traffic.signal('SIGUSR2');
    const line = await until(
      'the ping loop tells its counts',
      () => traffic.stdout.slice(told).trim(),
      (text) => text.endsWith('}'),
    );
    return JSON.parse(line.split('\n').at(-1) ?? '');
  };

  test('control is killed under traffic: not one connection breaks, and agents restarted meanwhile serve again within 3 s', async () => {
    const traffic = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '50']);
    await traffic.output(/ready/);
    await control.process.kill();
    await until(
      'stale is told',
      async () => JSON.parse(await web.check(['weft', 'status', '--json', '--data', webAgent.dataDir])),
      (status) => typeof status.agent.stale_since === 'string',
    );
    // Every connection goes on, and is not only still open: each gets more lines back than it had after the kill.
    const after = await counts(traffic);
    const later = await until(
      'every connection moves',
      () => counts(traffic),
      ({ fewest }) => fewest > after.fewest + 20,
    );
    expect(later).toMatchObject({ open: 50, broken: 0 });
    traffic.signal('SIGTERM');
    await traffic.finished();

    await webAgent.process.kill();
    await dataAgent.process.kill();
    const began = Date.now();
    await Promise.all([dataAgent.restart(), webAgent.restart()]);
    await until('names and flows are back', () => echo(web), Boolean, SETTLED_MS);
    expect(Date.now() - began).toBeLessThan(3_000);

    await control.restart();
    await until(
      'control hears its agents',
      async () => JSON.parse(await control.ok('agents', '--json')),
      (agents: { connected: boolean }[]) => agents.length === 3 && agents.every((agent) => agent.connected),
      SETTLED_MS,
    );
    expect(await echo(web)).toBe(true);
  }, 90_000);

  test('a rule that takes away cuts live flows within a second, and apply --wait answers when all enforce it', async () => {
    const traffic = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '10']);
    await traffic.output(/ready/);
    const applied = Date.now();
    await control.apply(mesh('policies: [{ name: closed, action: deny, from: [web], to: [echo] }]'), '--wait');
    await traffic.output(/ECONNRESET/, 1_000);
    expect(Date.now() - applied).toBeLessThan(3_000);
    expect(await echo(web)).toBe(false);
    expect(await echo(laptop)).toBe(true);
    expect(await counts(traffic)).toMatchObject({ broken: 10 });
    traffic.signal('SIGTERM');
    await traffic.finished();
    await control.apply(mesh(), '--wait');
    expect(await echo(web)).toBe(true);
  });

  test('revoking an agent, or the token it came with, cuts its live flows within a second', async () => {
    const guest = await lab.host('guest');
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', 'guest');
    await Agent.start(guest, { token });
    await until('the guest is in', () => echo(guest), Boolean, SETTLED_MS);
    const traffic = guest.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await traffic.output(/ready/);
    const tokens = JSON.parse(await control.ok('token', 'list', '--json')) as { token_id: string; host: string }[];
    await control.ok('token', 'revoke', tokens.find((one) => one.host === 'guest')?.token_id ?? '');
    await traffic.output(/ECONNRESET/, 1_000);
    expect(await echo(guest)).toBe(false);

    const live = laptop.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await live.output(/ready/);
    await control.ok('revoke', 'laptop');
    await live.output(/ECONNRESET/, 1_000);
    expect(await echo(laptop)).toBe(false);
    expect(await echo(web)).toBe(true);
  });

  test('a host that changes its address calls and is served again within seconds, and its old connections are over', async () => {
    const traffic = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await traffic.output(/ready/);
    const address = (change: string, which: string) =>
      lab.startAsRoot(web, ['ip', 'address', change, `${which}/24`, 'dev', 'eth0']).finished();
    const other = `10.213.7.${Number(web.address.split('.')[3]) + 100}`;
    await address('add', other);
    await address('del', web.address);
    // Of one net, the kernel may have dropped the second address with the first.
    await address('replace', other);
    await traffic.output(/ECONNRESET/, 5_000);
    await webAgent.process.output(/control-lost.*has lost the address/, 3_000);
    await until('echo answers from the new address', () => echo(web), Boolean, 10_000);
    await until(
      'control is heard again',
      async () => JSON.parse(await web.check(['weft', 'status', '--json', '--data', webAgent.dataDir])),
      (status) => typeof status.agent.stale_since !== 'string',
      10_000,
    );
    // Where programs may bind any address, as keepalived wants it, no bind tells which are here. This stays so in the next test.
    await lab.startAsRoot(web, ['sysctl', '-qw', 'net.ipv4.ip_nonlocal_bind=1']).finished();
    const later = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await later.output(/ready/);
    await address('add', web.address);
    await address('del', other);
    await address('replace', web.address);
    await later.output(/ECONNRESET/, 5_000);
    await until('echo answers from the old one', () => echo(web), Boolean, 10_000);
  });

  test('an interface that is down for a moment, and an address that nothing uses and goes, break no connection', async () => {
    const traffic = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await traffic.output(/ready/);
    const ip = (...words: readonly string[]) => lab.startAsRoot(web, ['ip', ...words]).finished();
    await ip('address', 'add', '10.99.0.1/24', 'dev', 'eth0');
    await ip('link', 'set', 'eth0', 'down');
    // Longer than two looks at the addresses, and shorter than the silence of a dead peer.
    await sleep(2_500);
    await ip('link', 'set', 'eth0', 'up');
    await ip('address', 'del', '10.99.0.1/24', 'dev', 'eth0');
    await sleep(2_500);
    expect(await counts(traffic)).toMatchObject({ open: 3, broken: 0 });
    traffic.signal('SIGTERM');
    const status = JSON.parse(await web.check(['weft', 'status', '--json', '--data', webAgent.dataDir]));
    expect(status.agent.stale_since).not.toBeTypeOf('string');
  });

  test('the far agent is killed: callers see a reset, and service returns with it', async () => {
    const traffic = web.start(['node', 'test/fixtures/ping-loop.ts', 'echo', '7000', '3']);
    await traffic.output(/ready/);
    await dataAgent.process.kill();
    await traffic.output(/ECONNRESET/, 5_000);
    await dataAgent.restart();
    await until('echo is back', () => echo(web), Boolean, SETTLED_MS);
  });
});
