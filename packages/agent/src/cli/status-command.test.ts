import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeAdminToken } from '@weft/proto';
import { timestampToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { saveIdentity } from '../member/identity.ts';
import { makeKeys } from '../member/keys.ts';
import { commandLine, NOW, SECRET } from './command-line.fixture.ts';
import { localAgents } from './local-agent.fixture.ts';

const { directory, weft, file, serve, noToken } = commandLine();
const localAgent = localAgents(directory);

const TUNNEL = {
  ...{ address: '', endpoints: [], open: 0, handshakesFailed: 0, violations: 0, datagramsDropped: 0 },
  ...{ bytesSent: 0, bytesReceived: 0, peers: [] },
};

describe('status', () => {
  test('shows agent and control', async () => {
    await serve({
      getStatus: (_call, answer) =>
        answer(null, {
          version: '0.1.0',
          startTime: timestampToWire(NOW - 60_000),
          networks: [{ network: 'prod', revision: 13, behind: ['build-4'], behindCount: 3 }],
        }),
    });
    const data = await localAgent({});
    const { code, out } = await weft('status', '--data', data);
    // It has a problem.
    expect(code).toBe(4);
    for (const words of [
      'build-3 in network prod',
      'connected to control at 127.0.0.1:7400',
      '12 enforced',
      'redis.internal',
      '1/2',
      'not healthy',
      '3000/tcp',
      'taken; free it',
      'up 1m',
      '2 threads, with 3, 1 flows open',
      'build-4 and 2 more',
      'PEER     TUNNELS  ROUND TRIP  PATH',
      'build-9  2        1.2 ms      1252 B',
    ]) {
      expect(out).toContain(words);
    }
    const json = JSON.parse((await weft('status', '--data', data, '--json')).out) as Record<string, unknown>;
    expect(json).toMatchObject({
      agent: { host: 'build-3', state: 'connected' },
      control: {
        reachable: true,
        networks: [{ network: 'prod', revision: 13, services: 0, behind: ['build-4'], behind_count: 3 }],
      },
    });
  });

  test('names what takes mesh callers for local ones, of services that run here', async () => {
    const at = { kind: 'private', address: '127.80.0.7', instances: 1, healthy: 1 };
    const data = await localAgent({
      names: [
        { ...at, name: 'redis.internal', ports: ['6379', '6380-6389', '53/udp'] },
        { ...at, name: 'rabbit.internal', ports: ['5672'] },
      ],
      instances: [{ service: 'redis', healthy: true, notListening: [] }],
    });
    const { out } = await weft('status', '--data', data);
    expect(out.match(/^hint .*$/gm)).toEqual([expect.stringMatching(/redis:6379: .*requirepass/)]);
    const json = JSON.parse((await weft('status', '--data', data, '--json')).out) as { agent: { hints: unknown } };
    expect(json.agent.hints).toEqual([expect.stringMatching(/redis:6379: .*requirepass/)]);
  });

  test.each([
    [{ sight: 'all', sockets: 'kernel', missing: [] }, 'told by user, unit, program and target'],
    [
      { sight: 'own', sockets: 'kernel', missing: ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'] },
      "of the agent's own user told by all of it, of others by user alone; CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH would tell all of them",
    ],
    [
      { sight: 'units', sockets: 'tables', missing: [] },
      "of the agent's own user told by all of it, of others by user and unit; looked up slowly, for want of /usr/bin/perl that works (perl-base)",
    ],
  ] as const)('says what can be known of callers: %j', async (callers, said) => {
    const { out } = await weft('status', '--data', await localAgent({ callers }));
    expect(/^callers +(.*)$/m.exec(out)?.[1]).toBe(said);
  });

  test('works while control is down, and says since when', async () => {
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    const control = { address: '', addresses: ['127.0.0.1:7400'], cause: 'connect ECONNREFUSED' };
    const staleSince = new Date(NOW - 90_000).toISOString();
    const { code, out } = await weft('status', '--data', await localAgent({ state: 'stale', staleSince, control }));
    expect(code).toBe(4);
    expect(out).toMatch(
      /stale since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d) \(1m 30s\); control is not connected: connect ECONNREFUSED/,
    );
    expect(out).toContain('not reachable');
  });

  test.each([
    [7_200_000, 'ahead of'],
    [-7_200_000, 'behind'],
  ])('tells that the clock of control is off by %i ms, and how long it is up all the same', async (offMs, how) => {
    const times = { startTime: timestampToWire(NOW + offMs - 60_000), time: timestampToWire(NOW + offMs) };
    await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', ...times }) });
    const { code, out } = await weft('status', '--data', directory);
    expect(code).toBe(0);
    expect(out).toMatch(/, up 1m$/m);
    expect(out).toContain(`\nclock      its clock is 2h ${how} this host's: `);
    const json = JSON.parse((await weft('status', '--data', directory, '--json')).out) as { control: object };
    expect(json.control).toMatchObject({ clock_ahead_ms: offMs });
  });

  test('says that no agent runs here, and shows control', async () => {
    const { address } = await serve({
      getStatus: (_call, answer) => answer(null, { version: '0.1.0', startTime: timestampToWire(NOW - 60_000) }),
    });
    const { code, out } = await weft('status', '--data', directory);
    expect(code).toBe(0);
    expect(out).toContain(
      `agent      no agent runs here (${directory}); start it: weft up\n\ncontrol    ${address}, version 0.1.0, capability 1`,
    );
    expect(out.startsWith('agent')).toBe(true);
  });

  test('says what cannot be looked at, and not that it is not there', async () => {
    const locked = join(directory, 'locked');
    await mkdir(join(locked, 'agent.lock'), { recursive: true });
    const { code, err } = await weft('status', '--data', locked);
    expect(code).toBe(1);
    expect(err).toMatch(/its socket is not there, and agent\.lock beside it, .*, cannot be read; ask as the user/);
    const damaged = join(directory, 'damaged');
    await mkdir(join(damaged, 'identity.json'), { recursive: true });
    await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', startTime: timestampToWire(NOW) }) });
    expect((await weft('status', '--data', damaged)).err).toMatch(
      /^warning: whether this host is a member of a network is not known: .*identity\.json/m,
    );
  });

  test('tells what control says beside an agent of which nothing can be looked at', async () => {
    const locked = join(directory, 'locked-too');
    await mkdir(join(locked, 'agent.lock'), { recursive: true });
    const unread =
      /its socket is not there, and agent\.lock beside it, .*, cannot be read; ask as the user who runs it, or as root/;
    const answer = { version: '0.1.0', startTime: timestampToWire(NOW), networks: [{ network: 'prod', revision: 13 }] };
    const { address } = await serve({ getStatus: (_call, tell) => tell(null, answer) });
    const told = await weft('status', '--data', locked);
    expect(told).toMatchObject({ code: 1, err: '' });
    const [first, , second] = told.out.split('\n');
    expect(first).toMatch(/^agent {6}not known: the agent at /);
    expect(first).toMatch(unread);
    expect(second).toMatch(`control    ${address}, version 0.1.0`);
    const json = await weft('status', '--data', locked, '--json');
    expect([json.code, JSON.parse(json.out)]).toMatchObject([
      1,
      { agent: null, unread: expect.stringMatching(unread), missing: null, control: { networks: [{ revision: 13 }] } },
    ]);
    const away = await weft('status', '--data', locked, '--control', '127.0.0.1:1');
    expect(away).toMatchObject({ code: 1, out: '' });
    expect(away.err).toMatch(/^warning: control is not reachable: /);
    expect(away.err).toMatch(unread);
  });

  test.each([['and asks control'], ['where no token is'], ['where control is away']])(
    'misses the agent of a member that is off, and of nobody else, %s',
    async (where) => {
      const control = { address: '127.0.0.1:1' };
      if (where === 'and asks control') {
        const startTime = timestampToWire(NOW - 60_000);
        await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', startTime }) });
      } else if (where === 'where no token is') await noToken();
      else await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
      const data = await mkdtemp(join(directory, 'off'));
      const of = { agentId: 'a1', network: 'prod', host: 'build-3', ephemeral: false, revoked: false };
      const membership = { ...of, controlAddresses: [control.address], pin: new Uint8Array(32) };
      await saveIdentity(data, { keys: makeKeys(), membership });
      expect(await weft('status', '--data', data)).toMatchObject({
        code: 4,
        out: expect.stringContaining(', as build-3 in network prod, which is off;'),
      });
      const { code, out } = await weft('status', '--data', data, '--json');
      expect([code, JSON.parse(out)]).toMatchObject([
        4,
        { agent: null, missing: { host: 'build-3', network: 'prod' } },
      ]);
      for (const ended of [{ revoked: true }, { ephemeral: true }]) {
        await saveIdentity(data, { keys: makeKeys(), membership: { ...membership, ...ended } });
        const none = await weft('status', '--data', data);
        expect([ended, none.code]).toEqual([ended, where === 'and asks control' ? 0 : 1]);
        expect(none.out).not.toContain('build-3');
      }
    },
  );

  test('tells what control cannot write, and since when', async () => {
    const problem = { code: 'data-not-written', message: 'the disk is full' };
    const startTime = timestampToWire(NOW);
    const problems = [{ ...problem, sinceTime: timestampToWire(NOW - 60_000) }];
    await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', startTime, problems }) });
    const { code, out } = await weft('status', '--data', directory);
    expect(code).toBe(4);
    expect(out).toMatch(
      /^problem {4}data-not-written since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d): the disk is full$/m,
    );
    const json = JSON.parse((await weft('status', '--data', directory, '--json')).out) as object;
    expect(json).toMatchObject({ control: { problems: [{ ...problem, since_ms: NOW - 60_000 }] } });
  });

  test('ends with 0 where all is well, and with 4 where anything is not', async () => {
    const startTime = timestampToWire(NOW);
    await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', startTime }) });
    const well = { problems: [] };
    const unreachable = [{ host: 'build-9', addresses: ['192.0.2.9:7410'], since: '2026-03-01T12:00:00Z', cause: 'x' }];
    const cases: readonly (readonly [object, number])[] = [
      [well, 0],
      // What the mesh asks for and this host cannot give does not fail.
      [{ problems: [{ code: 'rules-inexact', subject: 'here', message: 'told' }] }, 0],
      [{}, 4],
      [{ ...well, state: 'stale', staleSince: new Date(NOW).toISOString() }, 4],
      [{ ...well, state: 'revoked' }, 4],
      [{ ...well, tunnel: { ...TUNNEL, unreachable } }, 4],
      [{ ...well, tunnel: { ...TUNNEL, unreachable: unreachable.map((one) => ({ ...one, runs: ['redis'] })) } }, 4],
      // Nobody calls one that is off, or that runs nothing.
      [{ ...well, tunnel: { ...TUNNEL, unreachable: [{ ...unreachable[0], runs: ['redis'], heard: false }] } }, 0],
      [{ ...well, tunnel: { ...TUNNEL, unreachable: [{ ...unreachable[0], runs: [], heard: null }] } }, 0],
    ];
    for (const [overrides, expected] of cases) {
      const data = await localAgent(overrides);
      for (const json of [[], ['--json']])
        expect([overrides, (await weft('status', '--data', data, ...json)).code]).toEqual([overrides, expected]);
    }
  });

  test('tells which host is not reached, since when, and what was tried', async () => {
    const cause = 'no tunnel to build-9: tried 192.0.2.9:7410 (connection refused)';
    const one = { host: 'build-9', addresses: ['192.0.2.9:7410'], since: new Date(NOW - 90_000).toISOString(), cause };
    const data = await localAgent({ tunnel: { ...TUNNEL, unreachable: Array(21).fill(one) } });
    const { out } = await weft('status', '--data', data);
    const lines = out.match(/^unreachable .*$/gm);
    expect(lines).toHaveLength(20);
    expect(lines?.[0]).toMatch(
      /^unreachable since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d.* \(1m 30s\): no tunnel to build-9: tried/,
    );
    expect(out).toContain('and 1 more hosts: weft status --json');
    const json = JSON.parse((await weft('status', '--data', data, '--json')).out) as object;
    expect(json).toMatchObject({ agent: { tunnel: { unreachable: Array(21).fill(one) } } });
  });

  test('needs one of the two', async () => {
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    expect(await weft('status', '--data', directory)).toMatchObject({ code: 1, out: '' });
    await noToken();
    const { code, err } = await weft('status', '--data', directory);
    expect(code).toBe(1);
    expect(err).toContain('cannot read the admin token');
  });
});
