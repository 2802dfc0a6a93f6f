/** Hosts that fall silent, and wires that lose packets, or are slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { echoes, PingLoop, serveEcho } from '../harness/programs.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc');

const MESH = `
network: prod
services:
  echo:  { kind: private, ports: [7000] }
  pong:  { kind: private, ports: [7001/udp] }
  lossy: { kind: private, ports: [7000] }
`;

/** 8 s are promised for a dead peer; a look each second and a busy machine add to that. */
const NOTICED_MS = 12_000;
/** What a program waits at most for an instance, and what its own start takes. */
const ANSWER_MS = 7_000;
/** Twice 2 s until a host is suspected, and what its client needs to open a flow at another. */
const PAUSE_MS = 8_000;
/** Each puts a window of its own in front of the calls, and the link carries 125 kB a second. */
const UPLOADS = 2;

describe.skipIf(missing !== undefined)(titled('silence', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let near: Host;
  let first: Host;
  let slow: Host;
  let lossy: PingLoop;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    const control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    const join = async (name: string, services: readonly string[]): Promise<Host> => {
      const host = await lab.host(name);
      await serveEcho(host);
      await Agent.join(control, host, services);
      return host;
    };
    let far: Host;
    // The first to come is 0.echo.
    [first, far, near, slow] = await Promise.all([
      join('first', ['echo', 'pong']),
      join('far', ['lossy']),
      join('near', []),
      join('slow', []),
    ]);
    await join('second', ['echo', 'pong']);
    await until(
      'all answer',
      async () => [await call('0.echo'), await call('1.echo'), await call('lossy')],
      (answers) => answers.every(Boolean),
      SETTLED_MS,
    );
    await lab.lose(far, { share: 0.2, peer: near });
    lossy = await PingLoop.start(near, 'lossy', 10);
  });
  afterAll(async () => cleanup.disposeAsync());

  const call = (name = 'echo'): Promise<boolean> => echoes(near, name, 6);

  test('where a host falls silent its flows end, and calls and datagrams go to another', async () => {
    const busy = await PingLoop.start(near, '0.echo', 2);
    const idle = near.start(['nc', '-vd', '0.echo', '7000']);
    const senders = Array.from({ length: 4 }, () =>
      near.start(['node', 'test/fixtures/udp-echo.ts', 'tick', 'pong', '7001']),
    );
    await Promise.all([idle.output(/succeeded/), ...senders.map((each) => each.output(/ready/))]);
    // Control hears it still: nobody says that it is not well.
    await lab.lose(first, { way: 'in', peer: near });
    const began = performance.now();
    const lasted: number[] = [];
    while ((await busy.counts()).broken < 2 || idle.running) {
      expect(performance.now() - began).toBeLessThan(NOTICED_MS);
      const asked = performance.now();
      expect(await call()).toBe(true);
      lasted.push(performance.now() - asked);
    }
    expect(Math.max(...lasted)).toBeLessThan(ANSWER_MS);
    // One that is known to be silent is asked no more.
    expect(Math.max(...lasted.slice(-4))).toBeLessThan(2_000);
    for (const sender of senders) {
      sender.signal('SIGUSR2');
      const [, last] = await sender.output(/last (\d+)/);
      expect(Number(last)).toBeLessThan(1_000);
      for (const [, pause] of sender.stdout.matchAll(/pause (\d+)/g)) expect(Number(pause)).toBeLessThan(PAUSE_MS);
    }
    await lab.heal(first);
    await until('it is found again', () => call('0.echo'), Boolean, SETTLED_MS);
  });

  test('behind uploads on a slow link calls are answered late, and none is reset', async () => {
    const link = ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', 'rate', '1mbit', 'burst', '3kb'];
    expect(await lab.startAsRoot(slow, [...link, 'latency', '500ms']).finished()).toMatchObject({ code: 0 });
    const uploads = Array.from({ length: UPLOADS }, () =>
      slow.start(['sh', '-c', 'nc 1.echo 7000 < /dev/zero > /dev/null']),
    );
    await sleep(3_000);
    // One half a second, as their programs come to call.
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => sleep(500 * index).then(() => echoes(slow, '1.echo', 30))),
    );
    expect(answers.filter((answered) => !answered)).toEqual([]);
    expect(uploads.map(({ running }) => running)).toEqual(uploads.map(() => true));
    await Promise.all(uploads.map((each) => each.kill()));
  });

  test('where a fifth of all packets is lost both ways no flow has ended, and bytes pass', async () => {
    const before = await lossy.counts();
    const later = await until(
      'all move',
      () => lossy.counts(),
      ({ fewest }) => fewest > before.fewest,
      SETTLED_MS,
    );
    expect(later).toMatchObject({ open: 10, broken: 0 });
  });
});
