/** What must not be possible, tried on real hosts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadIdentity } from '../../packages/agent/src/member/identity.ts';
import type { SourceClaim } from '../../packages/agent/src/words/opening.ts';
import type { ForgedAnswer, ForgedRequest } from '../harness/attacker.ts';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc', 'tcpdump', 'getent', 'dig');

const PROD = `
network: prod
services:
  vault:  { kind: private, ports: [7000, 7001/udp] }
  mailer: { kind: worker }
`;
const OTHER = `
network: other
services:
  spy: { kind: private, ports: [7000] }
`;

describe.skipIf(missing !== undefined)(titled('isolation', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let work: Host;
  let spy: Host;
  let caller: Host;
  let vaultProgram: Process;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(PROD);
    await control.apply(OTHER);
    [data, work, spy, caller] = [
      await lab.host('data'),
      await lab.host('work'),
      await lab.host('spy'),
      await lab.host('caller'),
    ];
    const token = (network: string, host: Host, ...scope: string[]): Promise<string> =>
      control.ok('token', 'create', '--network', network, '--host', host.name, ...scope);
    vaultProgram = data.start(['node', 'test/fixtures/echo-server.ts', '7000']);
    await vaultProgram.output(/ready/);
    await data.start(['node', 'test/fixtures/statsd-server.ts', '7001']).output(/ready/);
    await work.start(['node', 'test/fixtures/echo-server.ts', '9000']).output(/ready/);
    await spy.start(['node', 'test/fixtures/echo-server.ts', '7000']).output(/ready/);
    await Agent.start(data, {
      token: await token('prod', data, '--services', 'vault'),
      config: 'services: { vault: {} }',
    });
    await Agent.start(work, {
      token: await token('prod', work, '--services', 'mailer'),
      config: 'services: { mailer: {} }',
    });
    await Agent.start(caller, { token: await token('prod', caller) });
    await Agent.start(spy, { token: await token('other', spy, '--services', 'spy'), config: 'services: { spy: {} }' });
    await until(
      'vault answers',
      () => caller.run(['sh', '-c', 'echo up | timeout 3 nc -N vault 7000']),
      (answer) => answer.stdout === 'up\n',
      SETTLED_MS,
    );
  });
  afterAll(async () => cleanup.disposeAsync());

  test('nothing of a flow, TCP or UDP, is readable on the wire', async () => {
    const file = join(data.dir, '..', 'wire.pcap');
    const capture = await lab.capture(data, file);
    const secret = 'correct-horse-battery-staple';
    for (let round = 0; round < 5; round++) {
      expect(await caller.check(['sh', '-c', `echo ${secret} | timeout 3 nc -N vault 7000`])).toBe(`${secret}\n`);
    }
    await caller.check([
      'sh',
      '-c',
      `for i in 1 2 3 4 5; do echo shop.orders:${secret} | timeout 2 nc -u -q0 -w1 vault 7001; done`,
    ]);
    const counted = await caller.check(['sh', '-c', 'printf "?" | timeout 2 nc -u -w1 vault 7001 || true']);
    expect(JSON.parse(counted)).toMatchObject({ counted: 5 });
    // What is not of the mesh is seen: the capture would have shown the rest as well.
    await caller.run(['sh', '-c', `echo a-word-in-the-clear | timeout 1 nc -u -q0 -w0 ${data.address} 9`]);
    await until('the clear word is captured', () => readFileSync(file).includes('a-word-in-the-clear'));
    await capture.stop();
    const wire = readFileSync(file);
    expect(wire.includes(secret)).toBe(false);
    for (const name of ['vault', 'mailer', 'prod']) expect(wire.includes(name)).toBe(false);
  });

  test("a worker's listening program is reached by no name, address or port", async () => {
    const names = [
      'mailer',
      'mailer.internal',
      '0.mailer.internal',
      'mailer-discovery.internal',
      '_9000._tcp.mailer.internal',
    ];
    for (const name of names) expect((await caller.run(['getent', 'hosts', name])).code).not.toBe(0);
    for (const [name, type] of [
      ['mailer.internal', 'A'],
      ['_9000._tcp.mailer.internal', 'SRV'],
      ['mailer-discovery.internal', 'A'],
    ] as const) {
      for (const host of [caller, data, work]) {
        const answer = await host.check(['dig', '@127.0.0.1', '+tries=1', '+time=3', name, type]);
        expect(answer, `${type} of ${name} on ${host.name}`).toContain('status: NXDOMAIN');
      }
    }
    // The program listens, and its own host's programs reach it: what follows fails for no other reason.
    expect((await work.run(['timeout', '3', 'nc', '-z', '127.0.0.1', '9000'])).code).toBe(0);
    expect((await caller.run(['timeout', '3', 'nc', '-z', work.address, '9000'])).code).not.toBe(0);
    // The address its own calls come from, as the program that it calls sees it, tried on every host.
    const seenBefore = vaultProgram.stdout.length;
    expect(await work.check(['sh', '-c', 'echo hello | timeout 3 nc -N vault 7000'])).toBe('hello\n');
    const source = /connection from (127\.\S+)/.exec(vaultProgram.stdout.slice(seenBefore))?.[1] ?? 'unseen';
    expect(source).toMatch(/^127\.(8\d|9[0-5])\.\d+\.\d+$/);
    for (const host of [caller, data, work]) {
      expect((await host.run(['timeout', '3', 'nc', '-z', source, '9000'])).code, host.name).not.toBe(0);
    }
    const flows = (await control.ok('flows', '--network', 'prod', '--json'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(flows.some((flow) => flow.source === 'mailer' && flow.verdict === 'allow')).toBe(true);
    const { services } = JSON.parse(await control.ok('services', '--network', 'prod', '--json')) as {
      services: { service: { name: string }; vip?: string }[];
    };
    expect(services.find(({ service }) => service.name === 'mailer')?.vip ?? '').toBe('');
    const sweep = 'for last in 1 2 3 4 5 6 7 8 9 10; do timeout 1 nc -z 127.80.0.$last 9000 && echo open; done; true';
    for (const host of [caller, data, work]) expect(await host.check(['sh', '-c', sweep])).toBe('');
  });

  /** Asks, from a host's own keys, for what Weft's code would never ask for. */
  const forge = async (from: Host, to: string, requests: ForgedRequest[]): Promise<ForgedAnswer[]> => {
    const argv = ['node', 'test/fixtures/forged-open.ts', join(from.dir, 'agent'), to, JSON.stringify(requests)];
    return JSON.parse(await from.check(argv));
  };
  const ask = (
    service: string,
    port: number,
    source: SourceClaim,
    protocol: ForgedRequest['protocol'] = 'tcp',
  ): ForgedRequest => ({ service, ordinal: 0, port, protocol, source });
  const asHost: SourceClaim = { type: 'host' };
  const ruleOf = (answer: ForgedAnswer): string =>
    'opened' in answer ? (answer.opened ? 'opened' : answer.refusal.rule) : answer.error;

  test('forged requests for a worker, an undeclared port or a false source are refused where it would run', async () => {
    const answers = await forge(work, 'data', [
      ask('vault', 7000, { type: 'service', name: 'mailer' }),
      ask('mailer', 9000, asHost),
      ask('vault', 22, asHost),
      ask('vault', 7000, { type: 'service', name: 'vault' }),
      ask('vault', 7000, { type: 'internet', address: '192.0.2.1:5' }),
      ask('nothing', 7000, asHost),
      ask('vault', 7001, { type: 'service', name: 'mailer' }, 'udp'),
      ask('mailer', 9000, asHost, 'udp'),
      ask('vault', 53, asHost, 'udp'),
      ask('vault', 7001, { type: 'service', name: 'vault' }, 'udp'),
      // Declared, and of the other protocol.
      ask('vault', 7000, asHost, 'udp'),
      ask('vault', 7001, asHost),
    ]);
    // The first of each protocol is what work's own agent would ask for: the attack runs on the real path.
    expect(answers.map(ruleOf)).toEqual([
      'opened',
      'builtin:worker',
      'builtin:undeclared-port',
      'builtin:source',
      'builtin:source',
      'builtin:no-such-service',
      'opened',
      'builtin:worker',
      'builtin:undeclared-port',
      'builtin:source',
      'builtin:undeclared-port',
      'builtin:undeclared-port',
    ]);
    const toWorker = await forge(data, 'work', [
      ask('mailer', 9000, asHost),
      ask('mailer', 9000, { type: 'service', name: 'vault' }),
      ask('mailer', 9000, asHost, 'udp'),
      ask('mailer', 9000, { type: 'service', name: 'vault' }, 'udp'),
    ]);
    expect(new Set(toWorker.map(ruleOf))).toEqual(new Set(['builtin:worker']));
    expect(toWorker).toHaveLength(4);
  });

  test('networks do not cross', async () => {
    expect((await spy.run(['getent', 'hosts', 'vault.internal'])).code).not.toBe(0);
    expect((await caller.run(['getent', 'hosts', 'spy.internal'])).code).not.toBe(0);
    const known = (host: Host): string =>
      JSON.parse(readFileSync(join(host.dir, 'agent', 'netmap.json'), 'utf8'))
        .items.map((item: string) => Buffer.from(item, 'base64').toString('latin1'))
        .join();
    for (const word of ['vault', 'mailer', 'caller', data.address]) expect(known(spy)).not.toContain(word);
    for (const word of ['vault', data.address]) expect(known(caller)).toContain(word);
    // Even with the address and the public key of a host of the other network there is no way in.
    const identity = await loadIdentity(join(data.dir, 'agent'));
    const stranger = {
      endpoint: `${data.address}:7410`,
      tunnelKey: Buffer.from(identity?.keys.tunnel.publicKey ?? '').toString('hex'),
    };
    const [answer] = await forge(spy, 'data', [{ ...ask('vault', 7000, asHost), stranger }]);
    expect(answer).toHaveProperty('error');
  });

  test('rubbish, floods and half-open handshakes at the tunnel port leave service as it is', async () => {
    const noise = `for i in $(seq 1 40); do head -c 4000 /dev/urandom | timeout 1 nc -q0 ${data.address} 7410 >/dev/null & done; for i in $(seq 1 40); do timeout 3 nc ${data.address} 7410 </dev/null >/dev/null & done; for i in $(seq 1 50); do head -c 900 /dev/urandom | timeout 1 nc -u -q0 -w0 ${data.address} 7410; done; wait; true`;
    const flood = spy.run(['sh', '-c', noise]);
    for (let round = 0; round < 10; round++) {
      expect(await caller.check(['sh', '-c', 'echo still | timeout 3 nc -N vault 7000'])).toBe('still\n');
    }
    await flood;
    expect(await caller.check(['sh', '-c', 'echo still | timeout 3 nc -N vault 7000'])).toBe('still\n');
  });

  test('files with secrets are for their owner only', async () => {
    const modes = await data.check(['sh', '-c', 'stat -c "%a %n" $HOME/agent/*']);
    // At run.sock anybody may ask, whom the kernel names: it holds nothing.
    for (const line of modes.trim().split('\n')) expect(line).toMatch(/^600 |^666 .*\/run\.sock$/);
    const admin = await control.host.check([
      'stat',
      '-c',
      '%a',
      `${control.dataDir}/admin.token`,
      `${control.dataDir}/control.key`,
    ]);
    expect(admin).toBe('600\n600\n');
  });
});
