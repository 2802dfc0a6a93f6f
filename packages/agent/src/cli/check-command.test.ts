import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdtemp } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { AgentHandlers } from '@weft/proto/wire';
import { afterEach, describe, expect, test } from 'vitest';
import { startFakeControl } from '../../testing/fake-control.ts';
import { saveIdentity } from '../member/identity.ts';
import { makeKeys } from '../member/keys.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { HostFacts } from '../observe/host-facts.ts';
import type { PingAnswer } from '../observe/local-question.ts';
import { serveStatus } from '../observe/status-socket.ts';
import { commandLine, NOW } from './command-line.fixture.ts';
import { agentStatus, localAgents } from './local-agent.fixture.ts';

const { directory, weft } = commandLine();
const olderAgent = localAgents(directory);

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const FACTS: HostFacts = {
  process: {
    uid: process.getuid?.() ?? null,
    filesLimit: 1_024,
    filesOpen: 30,
    lowestPort: 1_024,
    unit: 'weft.service',
  },
  filesNeeded: 200,
  peers: [],
  targets: [],
};
const PATH = { roundTripUs: 1_240, address: '10.0.0.3:7410', dialled: true, accepted: 1, pathSize: 1_252 };
const DEAD: PingAnswer = { unreachable: 'no tunnel to data-1: tried 10.0.0.3:7410' };

interface Said {
  readonly status?: object;
  readonly facts?: Partial<HostFacts>;
  /** By tunnels that are made here, and by any. */
  readonly ping?: (dialled: boolean) => PingAnswer;
}

/** A directory whose agent says so, of a member of the control at the address. */
async function agent({ status = {}, facts = {}, ping = () => ({ path: PATH }) }: Said, address = '127.0.0.1:1') {
  const data = await mkdtemp(join(directory, 'c'));
  await member(data, address);
  const stop = new AbortController();
  ends.push(() => stop.abort());
  const own = { names: [], instances: [], problems: [], control: { address, addresses: [address], cause: '' } };
  await serveStatus(
    join(data, 'agent.sock'),
    (question) => {
      if (question.ask === 'status') return agentStatus({ ...own, ...status });
      if (question.ask !== 'ping') return { ...FACTS, ...facts };
      if (question.host === 'gone') throw new LocalRefusal('no-such-peer', 'this host is told of no gone');
      return ping(question.dialled);
    },
    stop.signal,
  );
  return data;
}

async function member(data: string, address: string, pin: Uint8Array = new Uint8Array(32)) {
  const of = { agentId: 'a1', network: 'prod', host: 'build-3', ephemeral: false, revoked: false };
  await saveIdentity(data, { keys: makeKeys(), membership: { ...of, controlAddresses: [address], pin } });
}

/** A directory whose agent's control answers, at that time by its clock. */
async function heard(sentMs: number, others: readonly string[] = []) {
  const connect: AgentHandlers['connect'] = (call) => {
    call.on('error', () => {});
    call.write({ challenge: { nonce: randomBytes(32), sentMs } });
  };
  const control = await startFakeControl({ agent: { connect } });
  ends.push(() => control.close());
  const { address } = control;
  const data = await agent({ status: { control: { address, addresses: [address, ...others], cause: '' } } }, address);
  await member(data, address, control.pin);
  return { control, data };
}

async function check(data: string) {
  const { code, out } = await weft('check', '--data', data);
  const lines = (area: string) =>
    out
      .split('\n')
      .flatMap((line) => (line.slice(9, 20).trim() === area ? `${line.slice(0, 9).trim()} ${line.slice(20)}` : []));
  return { code, out, lines };
}

describe('check', () => {
  test('tells each thing in a line, and that control is reached, by the very control', async () => {
    const { control, data } = await heard(NOW);
    const { code, out, lines } = await check(data);
    expect(lines('control')).toEqual([expect.stringMatching(/^ok 127\.0\.0\.1:\d+: answers in [\d.]+ ms$/)]);
    expect(lines('clock')).toEqual([expect.stringMatching(/^ok within \d+ ms of control's$/)]);
    expect(lines('agent')).toEqual([
      `ok build-3 in network prod enforces revision 12, and is connected to control at ${control.address}`,
    ]);
    expect(lines('files')).toEqual(["ok 1024 may be open; 30 are, and the network's ports and their flows want 200"]);
    expect({ code, last: out.trim().split('\n').at(-1) }).toEqual({ code: 0, last: 'nothing is broken' });
  });

  test('tells the clock of a host that is off', async () => {
    const { data } = await heard(NOW + 7_200_000);
    const { code, lines } = await check(data);
    expect({ code, clock: lines('clock') }).toEqual({
      code: 4,
      clock: [expect.stringMatching(/^broken this host's is 2h behind control's, .*timedatectl set-ntp true/)],
    });
  });

  test('names each place where control is not, and what to do', async () => {
    const addresses = ['127.0.0.1:1', '127.0.0.1:2'];
    const { code, lines } = await check(await agent({ status: { control: { address: '', addresses, cause: '' } } }));
    expect({ code, control: lines('control') }).toEqual({
      code: 4,
      control: addresses.map((address) =>
        expect.stringContaining(
          `broken ${address}: nobody listens there (ECONNREFUSED); check that weft-control runs there`,
        ),
      ),
    });
  });

  test('says of a place that only hints at another, and nothing of what a token tells of its own host', async () => {
    // Somebody else who answers at loopback is told of, and not passed over as nobody.
    const another = await startFakeControl({});
    ends.push(() => another.close());
    // So is whoever takes the connection and is no control.
    const rude = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(rude, 'listening');
    ends.push(() => rude.close());
    const place = `localhost:${(rude.address() as AddressInfo).port}`;
    const { control, data } = await heard(NOW, ['0.0.0.0:1', '127.0.0.1:1', 'localhost:1', another.address, place]);
    const { code, lines } = await check(data);
    expect({ code, control: lines('control') }).toEqual({
      code: 0,
      control: [
        expect.stringContaining(`ok ${control.address}: answers in`),
        'hint 0.0.0.0:1: nobody listens there (ECONNREFUSED); nothing, while control answers elsewhere',
        expect.stringContaining(`hint ${another.address}: ${another.address} shows a certificate other than`),
        `hint ${place}: who answers there ends the connection (ECONNRESET); nothing, while control answers elsewhere`,
      ],
    });
  });

  test('tells a wrong target by the address that was tried', async () => {
    const tried = [
      { address: '127.0.0.1:6380', error: 'connection refused' },
      { address: '[::1]:6380', error: 'connection refused' },
    ];
    const tcp = (first: number, last = first) => ({ protocol: 'tcp' as const, first, last });
    const targets = [
      { service: 'redis', ports: tcp(6379), tried },
      { service: 'wide', ports: tcp(9_000, 9_009), tried: [{ address: '10.0.0.9:9000', error: '' }] },
      {
        service: 'statsd',
        ports: { protocol: 'udp' as const, first: 8125, last: 8125 },
        tried: [{ address: '10.0.0.9:8125', error: '' }],
      },
    ];
    const { code, lines } = await check(await agent({ facts: { targets } }));
    expect({ code, targets: lines('target') }).toEqual({
      code: 4,
      targets: [
        'broken redis 6379: 127.0.0.1:6380: connection refused, [::1]:6380: connection refused; start the program, or say in the agent file where it listens: targets: { 6379: "HOST:PORT" }',
        'ok wide 9000-9009/tcp: a program answers at 10.0.0.9:9000 and the 9 after it',
        'unknown statsd 8125/udp: 10.0.0.9:8125: whether another host takes datagrams shows only when it is called',
      ],
    });
  });

  test("tells whose program has the place of a service's, and not to start that", async () => {
    const error = 'a program of user mallory listens there, who is another than match in the agent file names';
    const tried = [
      { address: '127.0.0.1:6379', error, other: 'mallory' },
      { address: '[::1]:6379', error: 'connection refused' },
    ];
    const ports = { protocol: 'tcp' as const, first: 6_379, last: 6_379 };
    const { code, lines } = await check(await agent({ facts: { targets: [{ service: 'redis', ports, tried }] } }));
    expect({ code, targets: lines('target') }).toEqual({
      code: 4,
      targets: [
        `broken redis 6379: 127.0.0.1:6379: ${error}, [::1]:6379: connection refused; end that program, and start the service's, or, where it is right, let the agent file say match: { user: mallory }`,
      ],
    });
  });

  test('tells of a port that is served in a sandbox, and how to have it served there', async () => {
    const udp = (first: number) => ({ protocol: 'udp' as const, first, last: first });
    const targets = ['', 'no program listens'].map((error, at) => {
      return { service: 'web', ports: udp(at + 1), tried: [{ address: 'in a sandbox', error }] };
    });
    const { code, lines } = await check(await agent({ facts: { targets } }));
    expect({ code, targets: lines('target') }).toEqual({
      code: 4,
      targets: [
        'ok web 1/udp: a program listens in a sandbox',
        'broken web 2/udp: in a sandbox: no program listens; let the program there listen, or say where it does: weft run --port 2=INSIDE',
      ],
    });
  });

  test.each<[string, HostFacts['peers'][number], (dialled: boolean) => PingAnswer, RegExp]>([
    [
      'reached',
      { host: 'data-1', runs: ['redis'], up: true },
      () => ({ path: PATH }),
      /^ok data-1: 1\.24 ms to 10\.0\.0\.3:7410; it has made 1 to here; UDP passes, in packets of 1252 B$/,
    ],
    [
      'without UDP',
      { host: 'data-1', runs: ['redis'], up: true },
      () => ({ path: { ...PATH, pathSize: 0 } }),
      /^hint data-1: .*UDP does not pass.*; let UDP to 10\.0\.0\.3:7410 through/,
    ],
    [
      'not reached',
      { host: 'data-1', runs: ['redis', 'rabbit'], up: true },
      () => DEAD,
      /^broken data-1: no tunnel to data-1: tried 10\.0\.0\.3:7410, so redis, rabbit cannot be called there; let TCP and UDP/,
    ],
    [
      'reached by its own tunnel',
      { host: 'data-1', runs: ['redis'], up: true },
      (dialled) => (dialled ? DEAD : { path: PATH }),
      /^hint data-1: 1\.24 ms by a tunnel that data-1 has made, which may be the only way: no tunnel/,
    ],
    [
      'off',
      { host: 'data-1', runs: ['redis'], up: false },
      () => expect.unreachable('it was tried'),
      /^hint data-1: its agent is off, or has no way to control, .*: not tried; start it: weft up on data-1/,
    ],
    ['one that only calls', { host: 'data-1', runs: [] }, () => DEAD, /^hint data-1: .*; no service runs there/],
    [
      'gone meanwhile',
      { host: 'gone', runs: ['redis'], up: true },
      () => DEAD,
      /^unknown gone: could not be tried: this host is told of no gone$/,
    ],
  ])('a peer that is %s', async (_, peer, ping, line) => {
    expect((await check(await agent({ facts: { peers: [peer] }, ping }))).lines('peer')).toEqual([
      expect.stringMatching(line),
    ]);
  });

  test('of many peers those that run something are tried, and it is said how many are not', async () => {
    const peers = Array.from({ length: 70 }, (_, index) => ({
      host: `h${index}`,
      runs: index === 69 ? ['redis'] : [],
    }));
    const lines = (await check(await agent({ facts: { peers } }))).lines('peer');
    expect(lines).toHaveLength(65);
    expect(lines[0]).toContain('h69');
    expect(lines.at(-1)).toBe('unknown 6 more were not tried; weft ping HOST tries one');
  });

  test('ports below 1024, only where a service wants one', async () => {
    const names = [
      { name: 'smtp.internal', kind: 'private', address: null, ports: ['25', '587'], instances: 1, healthy: 1 },
    ];
    expect((await check(await agent({ status: { names } }))).lines('ports')).toEqual([
      expect.stringMatching(
        /^broken the agent may listen from 1024 on, and these want lower ones: smtp 25, smtp 587; .*port_start=25;/,
      ),
    ]);
    const allowed = { process: { ...FACTS.process, lowestPort: 1 } };
    expect((await check(await agent({ status: { names }, facts: allowed }))).lines('ports')[0]).toMatch(/^ok /);
    expect((await check(await agent({}))).lines('ports')).toEqual([]);
  });

  test('too few files, and a directory that others may write to', async () => {
    const data = await agent({ facts: { filesNeeded: 4_000 } });
    await chmod(data, 0o770);
    const { lines } = await check(data);
    expect(lines('files')).toEqual([
      expect.stringMatching(/^broken 1024 may be open, .* want 4000; raise the hard limit/),
    ]);
    expect(lines('directory')).toEqual([`broken ${data}: others may write to it; chmod go-w ${data}`]);
    await chmod(data, 0o700);
    await chmod(join(data, 'identity.json'), 0o644);
    expect((await check(data)).lines('directory')).toEqual([expect.stringContaining('others may read the keys')]);
    await chmod(join(data, 'identity.json'), 0o600);
    for (const [mode, words] of [
      [0o700, "is its owner's alone, and its disk"],
      [0o755, 'is written by its owner alone, and others may look into it, and its disk'],
    ] as const) {
      await chmod(data, mode);
      expect((await check(data)).lines('directory')).toEqual([expect.stringContaining(words)]);
    }
  });

  test('tells what stands as a problem, a stale agent and a revoked one', async () => {
    const problems = [{ code: 'port-taken', subject: 'redis:6379/tcp', message: 'taken; free it' }];
    const control = { address: '', addresses: [], cause: 'no route' };
    const stale = { state: 'stale', staleSince: new Date(NOW).toISOString(), problems, control };
    const { code, lines } = await check(await agent({ status: stale }));
    expect(code).toBe(4);
    expect(lines('problem')).toEqual(['broken redis:6379/tcp: taken; free it (port-taken)']);
    expect(lines('agent')).toEqual([
      expect.stringMatching(
        /^broken build-3 in network prod goes on with revision 12; it does not hear control since .*: no route;/,
      ),
    ]);
    expect((await check(await agent({ status: { state: 'revoked' } }))).lines('agent')).toEqual([
      expect.stringMatching(/^broken build-3 in network prod: control took the membership back; join again: /),
    ]);
  });

  test('works while the agent is off, and where it never was', async () => {
    const data = await mkdtemp(join(directory, 'c'));
    expect((await check(data)).lines('agent')).toEqual([
      expect.stringMatching(
        /^broken no agent runs that keeps its state in .*, and no network was joined there; start it: weft up --join-file/,
      ),
    ]);
    await member(data, '127.0.0.1:1');
    const { code, lines } = await check(data);
    expect(code).toBe(4);
    expect(lines('agent')).toEqual([
      expect.stringMatching(/, which is build-3's in network prod; start it: weft up; or name /),
    ]);
    expect(lines('control')).toEqual([
      expect.stringMatching(/^broken 127\.0\.0\.1:1: nobody listens there \(ECONNREFUSED\); /),
    ]);
    for (const area of ['names', 'target'])
      expect(lines(area)).toEqual([expect.stringMatching(/^unknown not looked at: /)]);
    expect(lines('directory')).toEqual([expect.stringMatching(/^ok /)]);
    expect(lines('files')).toHaveLength(1);
  });

  // As where a unit gives the agent a user of its own: with the directory root would take the agent's keys from it.
  test.runIf(process.getuid?.() === 0)(
    'finds no fault with whose the directory of an agent is that is off',
    async () => {
      const data = await mkdtemp(join(directory, 'c'));
      await chown(data, 65_534, 65_534);
      expect((await check(data)).lines('directory')).toEqual([expect.stringMatching(/^ok .*: is its owner's alone/)]);
    },
  );

  test('says that an agent of an older version does not tell all, and not what this process may as of the agent', async () => {
    const names = [{ name: 'smtp.internal', kind: 'private', address: null, ports: ['25'], instances: 1, healthy: 1 }];
    const { lines } = await check(await olderAgent({ names, problems: [] }));
    for (const area of ['ports', 'files'])
      expect(lines(area)).toEqual([
        expect.stringMatching(/^unknown not looked at: the agent tells .*it does not tell$/),
      ]);
    expect(lines('agent').at(-1)).toMatch(
      /^unknown it does not tell of its peers and targets: the agent .* is of an older version, which does not tell; restart it/,
    );
  });

  test('as JSON', async () => {
    const { code, out } = await weft('check', '--json', '--data', await agent({ status: { problems: [] } }));
    const { findings, ...rest } = JSON.parse(out) as { findings: object[] };
    expect({ code, ...rest }).toEqual({ code: 4, version: 1, network: 'prod', host: 'build-3', broken: 1 });
    expect(findings).toContainEqual({
      area: 'control',
      subject: '127.0.0.1:1',
      result: 'broken',
      message: 'nobody listens there (ECONNREFUSED)',
      remedy: expect.stringContaining('weft up --control HOST:PORT'),
    });
  });
});
