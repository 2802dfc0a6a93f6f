import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import { encodeAdminToken, type FlowRecord, type Mesh } from '@weft/proto';
import {
  type AdminHandlers,
  actionCodec,
  breakPointCodec,
  fieldErrorsToStatus,
  flowToWire,
  meshFromWire,
  type pb,
  rolesToWire,
  serviceToWire,
} from '@weft/proto/wire';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { run } from './program.ts';

const NOW = Date.UTC(2026, 2, 1, 12);
const keys = makeTestKeys();
const SECRET = 'a'.repeat(43);

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let directory: string;
let control: FakeControl | undefined;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-cli-'));
});
afterAll(() => rm(directory, { recursive: true }));
afterEach(() => {
  control?.close();
  control = undefined;
});

async function weft(...args: readonly string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const env = {
    HOME: directory,
    WEFT_CONTROL: control?.address ?? '127.0.0.1:1',
    WEFT_ADMIN_TOKEN_FILE: join(directory, 'admin.token'),
  };
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    outColors: false,
    errColors: false,
    env,
    now: () => NOW,
  };
  const code = await run(args, terminal, new AbortController().signal);
  return { code, out, err };
}

async function file(name: string, content: string, mode = 0o600): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content, { mode });
  await chmod(path, mode);
  return path;
}

/** Starts control with these handlers and keeps its admin token where the commands find it. */
async function serve(admin: Partial<AdminHandlers>): Promise<void> {
  control = await startFakeControl({ admin, keys });
  await file('admin.token', `${encodeAdminToken({ pin: control.pin, secret: SECRET })}\n`);
}

const noToken = async () => rm(join(directory, 'admin.token'), { force: true });

describe('usage', () => {
  test.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['apply'], "required option '-f, --file <FILE>' not specified"],
    [['explain', 'web'], "missing required argument 'to'"],
    [['status', '--nonsense'], "unknown option '--nonsense'"],
    [['token', 'create', '--ttl', 'soon'], '--ttl takes a duration'],
    [['token', 'create', '--services', 'Redis'], '--services takes lower case names'],
    [['token', 'create', '--host', 'a_b'], "--host takes a host's name"],
    [['flows', '--limit', '0'], '--limit takes a number'],
    [['flows', '--from', 'host:'], '--from takes a service, host:NAME or internet'],
    [['flows', '--to', 'redis:0'], '--to takes SERVICE or SERVICE:PORT'],
    [['flows', '--to', 'statsd:8125/udp'], '--to takes SERVICE or SERVICE:PORT'],
    [['flows', '--host', 'a_b'], "--host takes a host's name"],
    [['flows', '--rule', ''], '--rule takes the name of a policy'],
    [['flows', '--outcome', 'toString'], '--outcome takes one of closed, reset, denied, cut'],
    [['flows', '--text', 'x'.repeat(201)], '--text takes 1 to 200 characters'],
    [['flows', '--since', 'yesterday'], '--since takes how long ago, such as 15m'],
    [['flows', '--until', '2026-02-28T25:00'], '--until takes how long ago'],
    [['flows', '--since', '2026-02-30T12:00'], '--since takes how long ago'],
    [['flows', '--since', '1m', '--until', '2m'], '--until takes a time after that of --since'],
    [['flows', '--id', 'xyz'], '--id takes 16 hexadecimal digits'],
    [['flows', '--follow', '--until', '1m'], '--follow has no end'],
    [['explain', 'WEB', 'redis:6379'], 'FROM is a service, host:NAME or internet'],
    [['explain', 'web', 'redis'], 'expected SERVICE:PORT'],
    [['services', '--control', 'nowhere'], '--control and WEFT_CONTROL take HOST:PORT'],
    [['up', '--dns', '53'], '--dns takes HOST:PORT'],
    [['up', '--vip-range', '10.0.0.0/8'], '--vip-range takes a range within 127.0.0.0/8'],
    [['up', '--vip-range', '127.0.0.0/8'], 'must not hold 127.0.0.1'],
    [['up', '--join', 'weftadmin1.x.y'], 'this is an admin token'],
    [['up', '--advertise', 'h:0'], '--advertise takes HOST:PORT'],
    [['up', '--workers', '0'], '--workers takes a number of threads from 1 to 16'],
    [['up', '--workers', '65'], 'found "65"'],
    [['up', '--workers', '2.5'], '--workers takes a number of threads'],
    [['up', '--workers', 'auto'], '--workers takes a number of threads'],
    [['up', '--workers', ''], '--workers takes a number of threads'],
    [['up', '--metrics', 'here'], '--metrics takes HOST:PORT'],
  ])('%j is exit code 2, and says why on stderr', async (args, words) => {
    const { code, out, err } = await weft(...args);
    expect(err).toContain(words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  test('help shows an example for every command', async () => {
    const commands = [
      'token create',
      'token list',
      'token revoke',
      'apply',
      'up',
      'status',
      'services',
      'agents',
      'flows',
      'explain',
      'revoke',
    ];
    for (const command of commands) {
      const { code, out } = await weft(...command.split(' '), '--help');
      expect(code).toBe(0);
      expect(out).toContain(`Example:\n  weft ${command}`);
    }
    expect((await weft('--help')).code).toBe(0);
    expect((await weft('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('reaching control', () => {
  test('says where the admin token was looked for', async () => {
    await noToken();
    const { code, err } = await weft('services');
    expect(code).toBe(1);
    expect(err).toContain(
      `cannot read the admin token ${join(directory, 'admin.token')}: there is no such file; name it with --admin-token-file`,
    );
  });

  test('says that control does not answer', async () => {
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    const { code, err } = await weft('services');
    expect(code).toBe(1);
    expect(err).toContain('control at 127.0.0.1:1 cannot be reached');
    expect(err).toContain('check that weft-control runs there');
  });

  test('refuses to talk to another control, before the token is sent', async () => {
    let asked = false;
    await serve({
      listServices: (_call, answer) => {
        asked = true;
        answer(null, {});
      },
    });
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32).fill(1), secret: SECRET }));
    const { code, err } = await weft('services');
    expect({ code, asked }).toEqual({ code: 1, asked: false });
    expect(err).toContain('is not the control that made the admin token');
  });

  test('sends the token as bearer, and warns of a token that others may read', async () => {
    let bearer: unknown;
    await serve({
      listServices: (call, answer) => {
        bearer = call.metadata.get('authorization')[0];
        answer(null, { services: [] });
      },
    });
    await chmod(join(directory, 'admin.token'), 0o644);
    const { code, err } = await weft('services');
    expect(code).toBe(0);
    expect(bearer).toMatch(new RegExp(`^Bearer weftadmin1\\..*\\.${SECRET}$`));
    expect(err).toContain('may be read by others; chmod 600 it');
  });

  test('passes on what control refuses', async () => {
    await serve({
      revokeAgent: (_call, answer) => answer({ code: status.NOT_FOUND, details: 'there is no agent build-9' }),
      listTokens: (_call, answer) => answer({ code: status.UNAUTHENTICATED, details: 'not the admin token' }),
    });
    const refused = await weft('revoke', 'build-9');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('refused: there is no agent build-9');
    expect((await weft('token', 'list')).err).toContain('does not take the admin token');
  });
});

describe('tokens', () => {
  const requests: pb.CreateTokenRequest[] = [];
  beforeEach(() =>
    serve({
      createToken: (call, answer) => {
        requests.push(call.request);
        const networkCreated = call.request.network === 'fresh';
        answer(null, { token: 'weft1.abc', tokenId: 'tk1', expiresMs: NOW + 1, networkCreated });
      },
      listTokens: (_call, answer) =>
        answer(null, {
          tokens: [
            { tokenId: 'tk1', services: ['redis', 'web'], reusable: true, uses: 2, expiresMs: NOW + 60_000 },
            { tokenId: 'tk2', host: 'build-3', roles: rolesToWire(['gateway']), uses: 1, expiresMs: NOW + 60_000 },
            { tokenId: 'tk3', ephemeral: true, expiresMs: NOW - 1 },
            { tokenId: 'tk4', revoked: true, expiresMs: NOW + 1 },
          ],
        }),
      revokeToken: (call, answer) =>
        answer(null, { revision: 9, hosts: call.request.tokenId === 'tk1' ? ['a', 'b'] : [] }),
    }),
  );

  test.each([
    [['--services', ' redis, web,']],
    [['--services', 'redis web']],
    [['--services', 'redis', '--services=web']],
  ])('create takes services as %j', async (options) => {
    expect((await weft('token', 'create', ...options, '--ttl', '1h30m')).code).toBe(0);
    expect(requests.at(-1)).toMatchObject({ services: ['redis', 'web'], ttlSeconds: 5_400 });
  });

  test('create prints the token alone', async () => {
    const made = await weft(
      'token',
      'create',
      '--network',
      'prod',
      '--services',
      'redis,web',
      '--gateway',
      '--ttl',
      '7d',
    );
    expect(made).toEqual({ code: 0, out: 'weft1.abc\n', err: '' });
    expect(requests.at(-1)).toMatchObject({
      network: 'prod',
      services: ['redis', 'web'],
      roles: rolesToWire(['gateway']),
      reusable: false,
      ephemeral: false,
      ttlSeconds: 604_800,
    });
    const json = await weft('token', 'create', '--json');
    const answer = { token: 'weft1.abc', token_id: 'tk1', expires_ms: NOW + 1, network_created: false };
    expect(JSON.parse(json.out)).toEqual(answer);
    expect(requests.at(-1)?.ttlSeconds).toBe(3_600);
  });

  test('create says on stderr that it made the network', async () => {
    const err = 'note: network fresh is new; it has no services until weft apply\n';
    const made = await weft('token', 'create', '--network', 'fresh');
    expect(made).toEqual({ code: 0, out: 'weft1.abc\n', err });
    const json = await weft('token', 'create', '--network', 'fresh', '--json');
    expect(json.err).toBe(err);
    expect(JSON.parse(json.out)).toMatchObject({ network_created: true });
  });

  test('list', async () => {
    const { out } = await weft('token', 'list');
    expect(out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 8).join('|'))).toEqual([
      'ID|STATE|SERVICES|HOST|ROLES|REUSABLE|EPHEMERAL|USES',
      'tk1|valid|redis,web|-|-|yes|-|2',
      'tk2|used|-|build-3|gateway|-|-|1',
      'tk3|expired|-|-|-|-|yes|0',
      'tk4|revoked|-|-|-|-|-|0',
      '',
    ]);
    const json = JSON.parse((await weft('token', 'list', '--json')).out) as unknown[];
    expect(json[2]).toEqual({
      token_id: 'tk3',
      services: [],
      host: '',
      roles: [],
      reusable: false,
      ephemeral: true,
      expires_ms: NOW - 1,
      uses: 0,
      revoked: false,
    });
  });

  test('revoke', async () => {
    expect((await weft('token', 'revoke', 'tk1')).out).toBe('token tk1 revoked at revision 9; with it ended: a, b\n');
    expect(JSON.parse((await weft('token', 'revoke', 'tk2', '--json')).out)).toEqual({
      token_id: 'tk2',
      revision: 9,
      hosts: [],
    });
  });
});

describe('apply', () => {
  const MESH = 'network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\n';
  let sent: pb.ApplyRequest | undefined;
  let mesh: Mesh | undefined;
  const answering = (response: pb.Outgoing<pb.ApplyResponse>) =>
    serve({
      apply: (call, answer) => {
        sent = call.request;
        mesh = meshFromWire(call.request.mesh);
        answer(null, response);
      },
    });

  test('prints the changes, and warnings with their place on stderr', async () => {
    await answering({
      revision: 4,
      changes: [
        { operation: 'add', subject: 'service redis' },
        { operation: 'change', subject: 'policy a', detail: 'action deny' },
        { operation: 'remove', subject: 'service old' },
      ],
      warnings: [{ field: 'services.redis', message: 'nothing runs it' }],
    });
    const path = await file('mesh.yaml', MESH);
    expect(await weft('apply', '-f', path, '--wait', '--timeout', '500ms')).toEqual({
      code: 0,
      out: '+ service redis\n~ policy a: action deny\n- service old\napplied to network prod: revision 4, enforced by every connected agent\n',
      err: `warning: ${path}:3:10: services.redis: nothing runs it\n`,
    });
    expect(sent).toMatchObject({ dryRun: false, wait: true, timeoutMs: 500 });
    expect(mesh).toMatchObject({ network: 'prod', services: [{ name: 'redis' }] });
  });

  test('a dry run changes nothing and says so', async () => {
    await answering({ revision: 3, changes: [{ operation: 'add', subject: 'service redis' }] });
    const { out } = await weft('apply', '-f', await file('mesh.yaml', MESH), '--dry-run');
    expect(out).toBe('+ service redis\ndry run: nothing was changed; network prod stays at revision 3\n');
    expect(sent?.dryRun).toBe(true);
  });

  test('names those that do not enforce in time, and fails', async () => {
    await answering({ revision: 4, stragglers: ['build-3', 'build-4'] });
    const path = await file('mesh.yaml', MESH);
    const { code, err } = await weft('apply', '-f', path, '--wait');
    expect(code).toBe(1);
    expect(err).toContain('revision 4 is accepted, but not enforced within 10s by: build-3, build-4');
    const json = await weft('apply', '-f', path, '--wait', '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toEqual({
      network: 'prod',
      revision: 4,
      dry_run: false,
      changes: [],
      warnings: [],
      stragglers: ['build-3', 'build-4'],
    });
  });

  test('a wrong file is refused here, with line and column, and control is not asked', async () => {
    sent = undefined;
    await answering({});
    const path = await file('wrong.yaml', 'network: prod\nservices:\n  redis: { kind: privat }\n');
    const { code, out, err } = await weft('apply', '-f', path);
    expect({ code, out, sent }).toEqual({ code: 1, out: '', sent: undefined });
    expect(err).toContain(
      `${path}:3:18: services.redis.kind: expected web, private or worker, found "privat"; did you mean "private"?`,
    );
    expect(err).toContain('nothing was changed');
  });

  test("control's own refusals get their line and column too", async () => {
    await serve({
      apply: (_call, answer) =>
        answer(fieldErrorsToStatus([{ field: 'tests[0]', message: 'expected allow, got deny by default' }])),
    });
    const path = await file('tested.yaml', `${MESH}tests:\n  - { from: redis, to: "redis:6379", expect: allow }\n`);
    const { code, err } = await weft('apply', '-f', path);
    expect(code).toBe(1);
    expect(err).toContain(`${path}:5:5: tests[0]: expected allow, got deny by default`);
  });

  test('a timeout that is none is wrong usage', async () => {
    expect((await weft('apply', '-f', 'x', '--timeout', '1 hour')).code).toBe(2);
  });
});

describe('explain', () => {
  test('takes the name that programs are given', async () => {
    let asked: pb.ExplainRequest | undefined;
    await serve({
      explain: (call, answer) => {
        asked = call.request;
        answer(null, {
          verdict: actionCodec.toWire('allow'),
          rule: 'default',
          revision: 7,
          breakPoint: breakPointCodec.toWire('none'),
        });
      },
    });
    expect((await weft('explain', 'web', 'redis.internal:6379')).code).toBe(0);
    expect(asked).toMatchObject({ from: 'web', service: 'redis', port: 6379 });
  });

  const answering = (response: pb.Outgoing<pb.ExplainResponse>) =>
    serve({ explain: (call, answer) => answer(null, { ...response, reason: `${call.request.from} asks` }) });

  test('allow is 0', async () => {
    await answering({
      verdict: actionCodec.toWire('allow'),
      rule: 'default',
      revision: 7,
      breakPoint: breakPointCodec.toWire('none'),
      steps: ['redis/0 on build-3 answers'],
    });
    expect(await weft('explain', 'host:build-3', 'statsd:8125/udp')).toEqual({
      code: 0,
      out:
        'allow  host:build-3 -> statsd:8125/udp\nrule: default\nrevision: 7\nreason: host:build-3 asks\n' +
        '- redis/0 on build-3 answers\nit would work\n',
      err: '',
    });
  });

  test('deny is 3', async () => {
    await answering({
      verdict: actionCodec.toWire('deny'),
      rule: 'builtin:worker',
      revision: 7,
      breakPoint: breakPointCodec.toWire('no-such-name'),
    });
    const { code, out } = await weft('explain', 'web', 'mailer:25');
    expect(code).toBe(3);
    expect(out).toContain('deny  web -> mailer:25\nrule: builtin:worker\n');
    expect(out).toContain('breaks at: no-such-name');
    const json = await weft('explain', 'internet', 'mailer:25', '--json');
    expect(json.code).toBe(3);
    expect(JSON.parse(json.out)).toEqual({
      from: 'internet',
      to: { service: 'mailer', port: 25, protocol: 'tcp' },
      verdict: 'deny',
      rule: 'builtin:worker',
      revision: 7,
      reason: 'internet asks',
      break_point: 'no-such-name',
      steps: [],
    });
  });
});

describe('listings', () => {
  test('before the first apply are empty, and say why on stderr', async () => {
    const none = { code: status.NOT_FOUND, details: 'there is no network yet; weft apply makes one' };
    await serve({
      listServices: (_call, answer) => answer(none),
      listAgents: (_call, answer) => answer(none),
      listTokens: (_call, answer) => answer(none),
      watchFlows: (call) => void call.emit('error', none),
    });
    const err = `${none.details}\n`;
    for (const command of [['services'], ['agents'], ['token', 'list']]) {
      expect(await weft(...command, '--json')).toEqual({ code: 0, out: '[]\n', err });
    }
    expect(await weft('flows', '--json')).toEqual({ code: 0, out: '', err });
    expect((await weft('services')).out).toMatch(/^NAME .*\n$/);
    // A network that was named and is not there is a mistake.
    expect((await weft('services', '--json', '--network', 'prod')).code).toBe(1);
  });

  test('services', async () => {
    const service = serviceToWire({
      name: 'redis',
      kind: 'private',
      ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
      tags: [],
    });
    const instances = [
      { ordinal: 0, host: 'build-3', address: '127.80.0.9', healthy: true },
      { ordinal: 1, host: 'build-4', address: '127.80.0.10', notListening: service.ports },
    ];
    await serve({
      listServices: (_call, answer) => answer(null, { services: [{ service, vip: '127.80.0.7', instances }] }),
    });
    expect((await weft('services')).out).toBe(
      'NAME   KIND     VIP         PORTS  HEALTHY  PUBLIC  INSTANCES\n' +
        'redis  private  127.80.0.7  6379   1/2      -       0@build-3, 1@build-4 (not listening: 6379)\n',
    );
    expect(JSON.parse((await weft('services', '--json')).out)).toEqual([
      {
        service: { name: 'redis', kind: 'private', ports: ['6379'], tags: [] },
        vip: '127.80.0.7',
        instances: [
          { ordinal: 0, host: 'build-3', address: '127.80.0.9', healthy: true, not_listening: [] },
          { ordinal: 1, host: 'build-4', address: '127.80.0.10', healthy: false, not_listening: ['6379'] },
        ],
      },
    ]);
  });

  test('agents, whose words cannot move the cursor', async () => {
    const report = {
      endpoints: [],
      problems: [{ code: 'port-taken', subject: 'redis:6379', message: 'taken \u202e or \u2028' }],
    };
    await serve({
      listAgents: (_call, answer) =>
        answer(null, {
          agents: [
            {
              agentId: 'a1',
              host: 'build-3',
              connected: true,
              enforcedRevision: 4,
              services: ['redis'],
              address: '127.80.0.3',
              behindMs: 1_500,
              clockSkewMs: -7,
              telemetry: { intervalMs: 5_000, peers: [{ host: 'build-4', roundTripUs: 300 }] },
              report,
            },
            { agentId: 'a2', host: 'build-4', lastSeenMs: NOW - 3_723_000 },
          ],
        }),
    });
    const { out, err } = await weft('agents');
    expect(out.split('\n').map((line) => line.split(/ {2,}/).join('|'))).toEqual([
      'HOST|STATE|ENFORCES|ADDRESS|SERVICES|ROLES|TAGS|PROBLEMS|ID',
      'build-3|connected|4|127.80.0.3|redis|-|-|1|a1',
      'build-4|away, last seen 1h 2m ago|0|-|-|-|-|0|a2',
      '',
    ]);
    expect(err).toBe('build-3: redis:6379: taken \ufffd or \ufffd\n');
    const json = JSON.parse((await weft('agents', '--json')).out) as Record<string, unknown>[];
    expect(json[0]).toMatchObject({
      behind_ms: 1_500,
      clock_skew_ms: -7,
      telemetry: { interval_ms: 5_000, peers: [{ host: 'build-4', round_trip_us: 300 }] },
    });
    expect(json[1]).toMatchObject({ agent_id: 'a2', connected: false, enforced_revision: 0, report: null });
    expect(json[1]).toMatchObject({ behind_ms: 0, clock_skew_ms: 0, telemetry: null });
  });

  test('revoke', async () => {
    await serve({ revokeAgent: (_call, answer) => answer(null, { revision: 5, agentId: 'a1' }) });
    expect((await weft('revoke', 'build-3')).out).toBe('build-3 (a1) revoked at revision 5\n');
    expect(JSON.parse((await weft('revoke', 'build-3', '--json')).out)).toEqual({ agent_id: 'a1', revision: 5 });
  });
});

describe('flows', () => {
  const record: FlowRecord = {
    id: '0123456789abcdef',
    startedMs: NOW,
    durationMs: 5,
    source: 'web',
    sourceHost: 'build-3',
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'build-4',
    port: 6379,
    protocol: 'tcp',
    verdict: 'deny',
    rule: 'no-admin-ui',
    revision: 4,
    outcome: 'denied',
    bytesSent: 2_048,
    bytesReceived: 0,
    detail: 'policy no-admin-ui denies',
  };

  test('one line a flow, and with --json one object a line', async () => {
    let asked: pb.WatchFlowsRequest | undefined;
    await serve({
      watchFlows: (call) => {
        asked = call.request;
        call.write({ record: flowToWire(record) });
        call.write({ record: flowToWire({ ...record, verdict: 'allow', outcome: 'closed', detail: '' }), missed: 3 });
        call.end();
      },
    });
    const { out, err } = await weft('flows', '--denied', '--limit', '2');
    expect(asked).toMatchObject({ follow: false, limit: 2, filter: { verdict: 2 } });
    expect(out.split('\n')[1]).toContain(
      'web@build-3  redis:6379  redis/0@build-4  deny     no-admin-ui  4    denied   2.0 KiB  0 B       policy no-admin-ui denies',
    );
    expect(err).toBe('warning: 3 flows are not shown: they came too fast\n');
    const json = (await weft('flows', '--json')).out.trimEnd().split('\n');
    expect(json).toHaveLength(2);
    expect(JSON.parse(json[0] ?? '')).toMatchObject({
      id: record.id,
      source: 'web',
      source_host: 'build-3',
      started_ms: NOW,
      verdict: 'deny',
    });
  });

  test('filters are sent as they are meant', async () => {
    let asked: pb.WatchFlowsRequest | undefined;
    await serve({
      watchFlows: (call) => {
        asked = call.request;
        call.end();
      },
    });
    const who = ['--from', 'host:build-3', '--to', 'redis.internal:6379', '--host', 'b', '--rule', 'r'];
    const what = ['--outcome', 'no-instance', '--text', 'Words', '--id', '00000000deadbeef'];
    const when = ['--since', '1h30m', '--until', '2026-03-01T12:00:00Z'];
    expect(await weft('flows', ...who, ...what, ...when)).toMatchObject({ code: 0 });
    expect(asked).toMatchObject({
      filter: {
        source: 'host:build-3',
        service: 'redis',
        port: 6379,
        host: 'b',
        rule: 'r',
        outcome: 5,
        text: 'Words',
        id: '00000000deadbeef',
        fromMs: NOW - 5_400_000,
        toMs: NOW,
      },
    });
    // Without a zone it is by this host's clock, as the listing shows it.
    await weft('flows', '--since', '2026-02-01', '--to', 'redis');
    expect(asked).toMatchObject({ filter: { service: 'redis', port: 0, fromMs: new Date(2026, 1, 1).getTime() } });
  });

  test('a control that knows no filter is filtered here', async () => {
    await serve({
      watchFlows: (call) => {
        call.write({ record: flowToWire(record) });
        call.write({ record: flowToWire({ ...record, source: 'api' }) });
        call.end();
      },
    });
    const { out } = await weft('flows', '--json', '--from', 'api', '--outcome', 'denied');
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).source),
    ).toEqual(['api']);
    expect((await weft('flows', '--json', '--outcome', 'cut')).out).toBe('');
  });

  test('an error in the stream is an error of the command', async () => {
    await serve({
      watchFlows: (call) => {
        call.emit('error', { code: status.NOT_FOUND, details: 'there is no network x', metadata: new Metadata() });
      },
    });
    const { code, err } = await weft('flows', '--network', 'x');
    expect(code).toBe(1);
    expect(err).toContain('refused: there is no network x');
  });
});

describe('status', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** Answers like an agent's status socket. */
  async function localAgent(overrides: object): Promise<string> {
    const data = await mkdtemp(join(directory, 'a'));
    const status = {
      version: '0.1.0',
      startedMs: NOW,
      network: 'prod',
      host: 'build-3',
      agentId: 'a1',
      fingerprint: 'SHA256:00',
      state: 'connected',
      staleSince: null,
      control: { addresses: ['127.0.0.1:7400'], cause: '' },
      revision: 12,
      dns: '127.0.0.1:7453',
      names: [
        { name: 'redis.internal', kind: 'private', address: '127.80.0.7', ports: ['6379'], instances: 2, healthy: 1 },
      ],
      instances: [{ service: 'web', healthy: false, notListening: [{ protocol: 'tcp', first: 3000, last: 3000 }] }],
      listeners: { ports: 4 },
      tunnel: { address: '0.0.0.0:7410', endpoints: [], open: 2, bytesSent: 0, bytesReceived: 0 },
      gateway: '',
      flows: { open: 1, recorded: 5, dropped: 0, recent: [] },
      workers: [3, 1].map((open) => ({
        flows: { open, recorded: 9 },
        tunnel: { open: 1, bytesSent: 0, bytesReceived: 0 },
      })),
      problems: [{ code: 'port-taken', subject: 'redis:6379/tcp', message: 'taken; free it' }],
      ...overrides,
    };
    const server = createServer((socket) => socket.end(`${JSON.stringify(status)}\n`));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(data, 'agent.sock'), resolve));
    return data;
  }

  test('shows agent and control', async () => {
    await serve({
      getStatus: (_call, answer) =>
        answer(null, {
          version: '0.1.0',
          startedMs: NOW - 60_000,
          networks: [{ network: 'prod', revision: 13, behind: ['build-4'] }],
        }),
    });
    const data = await localAgent({});
    const { code, out } = await weft('status', '--data', data);
    expect(code).toBe(0);
    for (const words of [
      'build-3 in network prod',
      'connected to control',
      '12 enforced',
      'redis.internal',
      '1/2',
      'not healthy',
      '3000/tcp',
      'taken; free it',
      'up 1m',
      '2 threads, with 3, 1 flows open',
      'build-4',
    ]) {
      expect(out).toContain(words);
    }
    const json = JSON.parse((await weft('status', '--data', data, '--json')).out) as Record<string, unknown>;
    expect(json).toMatchObject({
      agent: { host: 'build-3', state: 'connected' },
      control: { reachable: true, networks: [{ network: 'prod', revision: 13, services: 0, behind: ['build-4'] }] },
    });
  });

  test('works while control is down, and says since when', async () => {
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    const control = { addresses: ['127.0.0.1:7400'], cause: 'connect ECONNREFUSED' };
    const staleSince = new Date(NOW - 90_000).toISOString();
    const { code, out } = await weft('status', '--data', await localAgent({ state: 'stale', staleSince, control }));
    expect(code).toBe(0);
    expect(out).toMatch(
      /stale since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(1m 30s\); control is not connected: connect ECONNREFUSED/,
    );
    expect(out).toContain('not reachable');
  });

  test('says that no agent runs here, and shows control', async () => {
    await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', startedMs: NOW - 60_000 }) });
    const { code, out } = await weft('status', '--data', directory);
    expect(code).toBe(0);
    expect(out).toContain(
      `agent      no agent runs here (${directory})\n\ncontrol    ${control?.address}, version 0.1.0`,
    );
    expect(out.startsWith('agent')).toBe(true);
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
