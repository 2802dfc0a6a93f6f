import { status } from '@grpc/grpc-js';
import type { Mesh } from '@weft/proto';
import { meshFromWire, meshToWire, type pb, timestampToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { parseMeshFile } from '../config/mesh-file.ts';
import { commandLine, NOW } from './command-line.fixture.ts';

const { weft, weftWith, file, serve } = commandLine();

const YAML = `network: prod
services:
  web: { kind: web, ports: [3000, 9000-9010/tcp, 53/udp], public: { port: 3000, hosts: [shop.example.com], responseTimeout: 90s }, tags: ["1"] }
  redis: { kind: private, ports: [6379] }
  mailer: { kind: worker }
default: deny
policies:
  - { name: in, action: allow, from: [web, "kind:worker"], to: ["*"], ports: [53/udp, 6379] }
agents:
  data-1: { tags: [eu] }
tests:
  - { from: web, to: redis:6379/tcp, expect: allow }
`;
const { mesh: MESH } = parseMeshFile('mesh.yaml', YAML);
const SMALLER: Mesh = { ...MESH, policies: [], agents: [], tests: [] };

interface Asked {
  readonly network: string;
  readonly revision: number;
}

function shown(asked: Asked[]) {
  return {
    getMesh: ({ request }: { request: Asked }, answer: (error: null, response: object) => void) => {
      asked.push(request);
      const { revision } = request;
      answer(null, { mesh: meshToWire(revision === 0 ? SMALLER : MESH), revision: revision === 0 ? 9 : revision });
    },
  };
}

describe('get', () => {
  test('prints a file that apply takes to get the same mesh', async () => {
    const asked: Asked[] = [];
    await serve(shown(asked));
    const { code, out } = await weft('get', '--revision', '7', '--network', 'prod');
    expect(code).toBe(0);
    expect(out).toMatch(/^# revision 7\nnetwork: prod\nservices:\n/);
    expect(parseMeshFile('got.yaml', out).mesh).toEqual(MESH);
    expect(asked).toMatchObject([{ network: 'prod', revision: 7 }]);
  });

  test('as JSON, in the words of the file, which apply takes too', async () => {
    await serve(shown([]));
    const { out } = await weft('get', '--revision', '7', '--json');
    const { version, network, revision, mesh } = JSON.parse(out);
    expect({ version, network, revision }).toEqual({ version: 1, network: 'prod', revision: 7 });
    expect(parseMeshFile('got.json', JSON.stringify(mesh)).mesh).toEqual(MESH);
  });

  test('takes the network of WEFT_NETWORK, unless one is named', async () => {
    const asked: Asked[] = [];
    await serve(shown(asked));
    const env = { WEFT_NETWORK: 'staging' };
    await weftWith({ env }, 'get');
    await weftWith({ env }, 'get', '--network', 'prod');
    await weftWith({ env: { WEFT_NETWORK: '' } }, 'get');
    expect(asked.map(({ network }) => network)).toEqual(['staging', 'prod', '']);
  });
});

describe('diff', () => {
  const answering = (result: pb.Outgoing<pb.ChangeResult>, sent: pb.ApplyRequest[] = []) =>
    serve({
      apply: ({ request }, answer) => {
        sent.push(request);
        answer(null, { result });
      },
    });

  test('is exit code 3 when an apply would change something, and changes nothing', async () => {
    const sent: pb.ApplyRequest[] = [];
    await answering({ revision: 4, changes: [{ operation: 3, subject: 'service old' }] }, sent);
    const path = await file('mesh.yaml', YAML);
    expect(await weft('diff', '-f', path)).toEqual({ code: 3, out: '- service old\n', err: '' });
    expect(sent[0]?.terms).toMatchObject({ dryRun: true, wait: false });
    const { code, out } = await weft('diff', '-f', path, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toEqual({
      version: 1,
      network: 'prod',
      revision: 4,
      changes: [{ operation: 'remove', subject: 'service old', detail: '' }],
      host_reach: [],
      warnings: [],
    });
  });

  test('is exit code 0 and silent when it is so already, and 2 when the file is wrong', async () => {
    await answering({ revision: 4 });
    expect(await weft('diff', '-f', await file('mesh.yaml', YAML))).toEqual({ code: 0, out: '', err: '' });
    expect((await weft('diff', '-f', await file('wrong.yaml', 'network: 1'))).code).toBe(2);
  });
});

describe('history', () => {
  test('tells each revision and what it changed', async () => {
    const changes = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ operation: 1, subject: `service ${name}` }));
    const revisions = [
      { revision: 9, applyTime: timestampToWire(NOW), changes: [{ operation: 2, subject: 'policy in', detail: 'to' }] },
      { revision: 3, applyTime: timestampToWire(NOW), changes },
      { revision: 2 },
    ];
    await serve({ listRevisions: (_call, answer) => answer(null, { revisions }) });
    const { code, out } = await weftWith({ columns: 80 }, 'history');
    expect(code).toBe(0);
    expect((await weft('history')).out).toMatch(/ \+ service d, \+ service e$/m);
    const [head, ...rows] = out.trimEnd().split('\n');
    expect(head).toMatch(/^REVISION {2}APPLIED +CHANGES$/);
    expect(rows[0]).toMatch(/^9 .* ~ policy in$/);
    expect(rows[1]).toMatch(/^3 .* \+ service a, \+ service b, and 3 more$/);
    expect(rows[2]).toMatch(/^2 +- +-$/);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(80);
    const json = JSON.parse((await weft('history', '--json')).out);
    expect(json).toMatchObject({ version: 1, revisions: [{ revision: 9, applied_ms: NOW }, {}, { changes: [] }] });
  });

  test('is empty before the first apply', async () => {
    const details = 'there is no network yet; weft apply makes one';
    await serve({ listRevisions: (_call, answer) => answer({ code: status.NOT_FOUND, details }) });
    const { code, out, err } = await weft('history', '--json');
    expect({ code, out: JSON.parse(out), err }).toEqual({
      code: 0,
      out: { version: 1, revisions: [] },
      err: `${details}\n`,
    });
  });
});

describe('rollback', () => {
  let sent: pb.ApplyRequest[] = [];
  const serving = (result: pb.Outgoing<pb.ChangeResult>) => {
    sent = [];
    return serve({
      ...shown([]),
      apply: ({ request }, answer) => {
        sent.push(request);
        answer(null, { result });
      },
    });
  };
  const CHANGED = { revision: 10, changes: [{ operation: 1, subject: 'policy in' }] };
  const dryRuns = () => sent.map(({ terms }) => terms?.dryRun);

  test('shows the difference, asks, and applies that mesh to the one that was seen', async () => {
    await serving(CHANGED);
    const { code, out, err } = await weftWith({ answer: 'y' }, 'rollback', '7');
    expect({ code, out, err }).toEqual({
      code: 0,
      out: '+ policy in\nnetwork prod is again as of revision 7: revision 10\n',
      err: 'this sets network prod back to revision 7; go on? [y/N] ',
    });
    expect(dryRuns()).toEqual([true, false]);
    expect(sent[1]?.terms).toMatchObject({ expectedRevision: 9, wait: false });
    expect(sent[1]?.formerRevision).toBe(7);
    expect(meshFromWire(sent[1]?.mesh)).toEqual(MESH);
  });

  test('does nothing on another answer, or where nobody can be asked', async () => {
    await serving(CHANGED);
    expect(await weftWith({ answer: '' }, 'rollback', '7')).toMatchObject({
      code: 1,
      err: expect.stringContaining('nothing was changed'),
    });
    const alone = await weft('rollback', '7', '--json');
    expect(alone).toMatchObject({ code: 1, out: '', err: expect.stringContaining('--yes says so') });
    expect(dryRuns()).toEqual([true, true]);
  });

  test('goes without a question with --yes, and names those that do not enforce it', async () => {
    await serving({ ...CHANGED, stragglers: ['build-3'] });
    const { code, out, err } = await weft('rollback', '7', '--yes', '--wait', '--json');
    expect(code).toBe(1);
    expect(err).toContain('not enforced within 10s by: build-3');
    expect(JSON.parse(out)).toEqual({
      version: 1,
      network: 'prod',
      revision: 10,
      host_reach: [],
      from: 7,
      changes: [{ operation: 'add', subject: 'policy in', detail: '' }],
      stragglers: ['build-3'],
      not_kept: [],
    });
  });

  test('leaves hosts of an older version behind only where that is said', async () => {
    await serving(CHANGED);
    await weft('rollback', '7', '--yes');
    await weft('rollback', '7', '--yes', '--leave-behind');
    expect(sent.map(({ terms }) => terms?.leaveBehind)).toEqual([false, false, true, true]);
  });

  test('takes the number of a revision', async () => {
    expect(await weft('rollback', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('REVISION takes') });
  });
});

describe('audit', () => {
  const entries = [
    {
      sequence: 3,
      time: timestampToWire(NOW),
      actor: { kind: 1, name: '10.0.0.9' },
      action: 'apply',
      network: 'prod',
      subject: 'network prod',
      revision: 9,
      detail: '2 changes',
    },
    { sequence: 2, time: timestampToWire(NOW), actor: { kind: 5 }, action: 'agent-forget', subject: 'agent b' },
  ];

  test('tells who did what, the newest last', async () => {
    const asked: { readonly network: string; readonly pageSize: number }[] = [];
    await serve({
      listAudit: ({ request }, answer) => {
        asked.push(request);
        answer(null, { entries, nextPageToken: 'more' });
      },
    });
    const { code, out } = await weft('audit', '--network', 'prod', '--limit', '2');
    expect(code).toBe(0);
    const [head, first, second] = out.split('\n');
    expect(head).toMatch(/^TIME +WHO +ACTION +REVISION +WHAT$/);
    expect(first).toMatch(/ {2}control +agent-forget +- +agent b$/);
    expect(second).toMatch(/ {2}admin 10\.0\.0\.9 +apply +9 +network prod: 2 changes$/);
    expect(asked).toMatchObject([{ network: 'prod', pageSize: 2 }]);
    const json = JSON.parse((await weft('audit', '--limit', '2', '--json')).out);
    expect(json.version).toBe(1);
    expect(json.entries[1]).toEqual({
      sequence: 3,
      time_ms: NOW,
      actor: { kind: 'admin', name: '10.0.0.9' },
      action: 'apply',
      network: 'prod',
      subject: 'network prod',
      revision: 9,
      detail: '2 changes',
    });
    expect((await weft('audit', '--limit', '0')).code).toBe(2);
    const two = entries.map((entry, at) => ({ ...entry, network: at === 0 ? 'prod' : 'staging' }));
    await serve({ listAudit: (_call, answer) => answer(null, { entries: two }) });
    const [heads, older] = (await weft('audit')).out.split('\n');
    expect(heads).toMatch(/^TIME +WHO +ACTION +NETWORK +REVISION +WHAT$/);
    expect(older).toMatch(/ {2}control +agent-forget +staging +- +agent b$/);
  });
});

test('network list', async () => {
  const networks = [{ network: 'prod', revision: 9, services: 2, agents: 3, connected: 2, behindCount: 1 }];
  await serve({ getStatus: (_call, answer) => answer(null, { networks }) });
  const { out } = await weft('network', 'list');
  expect(out).toBe('NETWORK  REVISION  SERVICES  CONNECTED  BEHIND\nprod     9         2         2/3        1\n');
  expect(JSON.parse((await weft('network', 'list', '--json')).out)).toEqual({
    version: 1,
    networks: [{ network: 'prod', revision: 9, services: 2, agents: 3, connected: 2, behind: 1 }],
  });
});

describe('network remove', () => {
  let asked: pb.Message<'DeleteNetworkRequest'>[] = [];
  const serving = () => {
    asked = [];
    return serve({
      listTokens: ({ request }, answer) => {
        if (request.network === 'preview') answer(null, {});
        else answer({ code: status.NOT_FOUND, details: `there is no network ${request.network}` });
      },
      deleteNetwork: ({ request }, answer) => {
        asked.push(request);
        answer(null, { revision: 4, hosts: ['a', 'b'] });
      },
    });
  };

  test('asks for the name, or takes it from --yes', async () => {
    await serving();
    const { code, out, err } = await weftWith({ answer: 'preview\n' }, 'network', 'remove', 'preview');
    expect({ code, out }).toEqual({
      code: 0,
      out: 'network preview removed at revision 4; no members any more: a, b\n',
    });
    expect(err).toMatch(/type its name to remove it: $/);
    const told = await weft('network', 'remove', 'preview', '--yes', 'preview', '--json');
    expect(JSON.parse(told.out)).toEqual({ version: 1, network: 'preview', revision: 4, hosts: ['a', 'b'] });
    expect(asked).toMatchObject([
      { network: 'preview', confirm: 'preview' },
      { network: 'preview', confirm: 'preview' },
    ]);
  });

  test('does nothing on another name, or where nobody can be asked', async () => {
    await serving();
    for (const { code, err } of [
      await weftWith({ answer: 'y' }, 'network', 'remove', 'preview'),
      await weft('network', 'remove', 'preview', '--yes', 'prod'),
    ]) {
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('nothing was changed') });
    }
    const alone = await weft('network', 'remove', 'preview');
    expect(alone).toMatchObject({ code: 1, err: expect.stringContaining('give --yes preview') });
    for (const answer of [undefined, 'prewiev'])
      expect(await weftWith(answer === undefined ? {} : { answer }, 'network', 'remove', 'prewiev')).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^weft: [^\n]*there is no network prewiev[^\n]*\n$/),
      });
    expect(asked).toEqual([]);
  });
});
