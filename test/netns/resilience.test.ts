/** Real kills on real hosts, under traffic. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { echoes, PingLoop, serveEcho } from '../harness/programs.ts';
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
    await serveEcho(data);
    dataAgent = await Agent.join(control, data, ['echo']);
    webAgent = await Agent.join(control, web, ['web']);
    await Agent.join(control, laptop);
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('control is killed under traffic: not one connection breaks, and agents restarted meanwhile serve again within 3 s', async () => {
    const traffic = await PingLoop.start(web, 'echo', 50);
    await control.process.kill();
    await until(
      'stale is told',
      () => webAgent.status(),
      (status) => typeof status.stale_since === 'string',
    );
    // Every connection goes on, and is not only still open: each gets more lines back than it had after the kill.
    const after = await traffic.counts();
    const later = await until(
      'every connection moves',
      () => traffic.counts(),
      ({ fewest }) => fewest > after.fewest + 20,
    );
    expect(later).toMatchObject({ open: 50, broken: 0 });
    await traffic.stop();

    await webAgent.process.kill();
    await dataAgent.process.kill();
    const began = Date.now();
    await Promise.all([dataAgent.restart(), webAgent.restart()]);
    await until('names and flows are back', () => echoes(web), Boolean, SETTLED_MS);
    expect(Date.now() - began).toBeLessThan(3_000);

    await control.restart();
    await until(
      'control hears its agents',
      async () => JSON.parse(await control.ok('agents', '--json')),
      ({ agents }: { agents: { connected: boolean }[] }) =>
        agents.length === 3 && agents.every((agent) => agent.connected),
      SETTLED_MS,
    );
    expect(await echoes(web)).toBe(true);
  });

  test('a rule that takes away cuts live flows within a second, and apply --wait answers when all enforce it', async () => {
    const traffic = await PingLoop.start(web, 'echo', 10);
    const applied = Date.now();
    await control.apply(mesh('policies: [{ name: closed, action: deny, from: [web], to: [echo] }]'), '--wait');
    await traffic.broken(1_000);
    expect(Date.now() - applied).toBeLessThan(3_000);
    expect(await echoes(web)).toBe(false);
    expect(await echoes(laptop)).toBe(true);
    expect(await traffic.counts()).toMatchObject({ broken: 10 });
    await traffic.stop();
    await control.apply(mesh(), '--wait');
    expect(await echoes(web)).toBe(true);
  });

  test('revoking an agent, or the token it came with, cuts its live flows within a second', async () => {
    const guest = await lab.host('guest');
    await Agent.join(control, guest);
    await until('the guest is in', () => echoes(guest), Boolean, SETTLED_MS);
    const traffic = await PingLoop.start(guest, 'echo', 3);
    const { tokens } = JSON.parse(await control.ok('token', 'list', '--json')) as {
      tokens: { token_id: string; host: string }[];
    };
    await control.ok('token', 'revoke', tokens.find((one) => one.host === 'guest')?.token_id ?? '');
    await traffic.broken(1_000);
    expect(await echoes(guest)).toBe(false);

    const live = await PingLoop.start(laptop, 'echo', 3);
    await control.ok('revoke', 'laptop');
    await live.broken(1_000);
    expect(await echoes(laptop)).toBe(false);
    expect(await echoes(web)).toBe(true);
  });

  test('a host that changes its address calls and is served again within seconds, and its old connections are over', async () => {
    const traffic = await PingLoop.start(web, 'echo', 3);
    const address = (change: string, which: string) =>
      lab.startAsRoot(web, ['ip', 'address', change, `${which}/24`, 'dev', 'eth0']).finished();
    const other = `10.213.7.${Number(web.address.split('.')[3]) + 100}`;
    await address('add', other);
    await address('del', web.address);
    // Of one net, the kernel may have dropped the second address with the first.
    await address('replace', other);
    await traffic.broken(5_000);
    await webAgent.process.output(/control-lost.*has lost the address/, 3_000);
    await until('echo answers from the new address', () => echoes(web), Boolean, 10_000);
    await until(
      'control is heard again',
      () => webAgent.status(),
      (status) => typeof status.stale_since !== 'string',
      10_000,
    );
    // Where programs may bind any address, as keepalived wants it, no bind tells which are here. This stays so in the next test.
    await lab.startAsRoot(web, ['sysctl', '-qw', 'net.ipv4.ip_nonlocal_bind=1']).finished();
    const later = await PingLoop.start(web, 'echo', 3);
    await address('add', web.address);
    await address('del', other);
    await address('replace', web.address);
    await later.broken(5_000);
    await until('echo answers from the old one', () => echoes(web), Boolean, 10_000);
  });

  test('an interface that is down for a moment, and an address that nothing uses and goes, break no connection', async () => {
    const traffic = await PingLoop.start(web, 'echo', 3);
    const ip = (...words: readonly string[]) => lab.startAsRoot(web, ['ip', ...words]).finished();
    await ip('address', 'add', '10.99.0.1/24', 'dev', 'eth0');
    await ip('link', 'set', 'eth0', 'down');
    // Longer than two looks at the addresses, and shorter than the silence of a dead peer.
    await sleep(2_500);
    await ip('link', 'set', 'eth0', 'up');
    await ip('address', 'del', '10.99.0.1/24', 'dev', 'eth0');
    await sleep(2_500);
    expect(await traffic.counts()).toMatchObject({ open: 3, broken: 0 });
    await traffic.stop();
    await until(
      'control is heard',
      () => webAgent.status(),
      (status) => typeof status.stale_since !== 'string',
      10_000,
    );
  });

  test('the far agent is killed: callers see a reset, and service returns with it', async () => {
    const traffic = await PingLoop.start(web, 'echo', 3);
    await dataAgent.process.kill();
    await traffic.broken(5_000);
    await dataAgent.restart();
    await until('echo is back', () => echoes(web), Boolean, SETTLED_MS);
  });
});
