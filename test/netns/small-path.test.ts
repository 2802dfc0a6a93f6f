/** A wire that drops what is too large for it and says nothing: no ICMP comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { echoes, PingLoop, serveEcho } from '../harness/programs.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc', 'ss');

const MESH = `
network: prod
services:
  echo: { kind: private, ports: [7000] }
  pong: { kind: private, ports: [7001/udp] }
`;

describe.skipIf(missing !== undefined)(titled('a path that swallows large packets', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let near: Host;
  let far: Host;
  let nearAgent: Agent;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    far = await lab.host('far');
    near = await lab.host('near');
    await serveEcho(far);
    await Agent.join(control, far, ['echo', 'pong']);
    // Before there is a tunnel: else its first probes may show what passes no more.
    await lab.narrow(far, 1_300);
    nearAgent = await Agent.join(control, near);
  });
  afterAll(async () => cleanup.disposeAsync());

  const pathSize = async (): Promise<number | undefined> => (await nearAgent.status()).tunnel.peers[0]?.path_size;

  // One connection: what waits of several may be sent again as one segment, larger than the path.
  const startPings = () => PingLoop.start(near, 'echo', 1);
  const expectPings = async (pings: PingLoop): Promise<void> => {
    const counts = await pings.counts();
    pings.process.signal('SIGTERM');
    expect(counts).toMatchObject({ open: 1, broken: 0 });
    expect(counts.longest).toBeLessThan(3_000);
    // A tunnel that such a packet went into stands still for good, while the next may carry the pings.
    for (const [host, peer] of [
      [near, far],
      [far, near],
    ] as const)
      expect(await host.check(['ss', '-tniH', 'dst', peer.address])).not.toContain('backoff:');
  };

  test('datagrams of any size pass from the first one on, and hold up nothing beside them', async () => {
    await until('echo answers', () => echoes(near), Boolean, SETTLED_MS);
    const pings = await startPings();
    const asked = await near.check(
      ['node', 'test/fixtures/udp-echo.ts', 'ask', 'pong', '7001', '1400', '1200', '8000', '60000', '1', '1273'],
      { timeoutMs: 20_000 },
    );
    expect(asked.match(/whole/g)).toHaveLength(6);
    await expectPings(pings);
    await until('the path is measured', pathSize, (size) => size === 1_252, SETTLED_MS);
    await until(
      'control hears of it',
      () => control.ok('agents', '--wide'),
      (table) => /^near .*1252 B/m.test(table) && /^far .*1252 B/m.test(table),
      SETTLED_MS,
    );
  });

  test('where UDP falls silent after that, large datagrams hold up nothing, and pass when it is back', async () => {
    const pings = await startPings();
    await lab.lose(near, { protocol: 'udp' });
    const asking = near.start(['node', 'test/fixtures/udp-echo.ts', 'ask', 'pong', '7001', '1400']);
    await until('the path is lost', pathSize, (size) => size === 0, 10_000);
    // What was sent into the tunnel since would stand in it by now.
    await sleep(4_000);
    await lab.heal(near);
    await asking.output(/whole/, 15_000);
    await expectPings(pings);
  });

  test('bulk over TCP passes where the kernels probe for themselves, as the README says', async () => {
    for (const host of [near, far])
      await lab.startAsRoot(host, ['sysctl', '-qw', 'net.ipv4.tcp_mtu_probing=2']).finished();
    const bulk = 'head -c 2000000 /dev/zero | timeout 20 nc -N echo 7000 | wc -c';
    await until(
      '2 MB came back',
      () => near.check(['sh', '-c', bulk], { timeoutMs: 30_000 }),
      (count) => count === '2000000\n',
      60_000,
    );
  });
});
