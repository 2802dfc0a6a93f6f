import { status } from '@grpc/grpc-js';
import { CAPABILITY, type Mesh } from '@weft/proto';
import { durationToWire, errorStatus, meshFromWire, meshToWire, type pb } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { parseMeshFile } from '../config/mesh-file.ts';
import { commandLine } from './command-line.fixture.ts';

const { weft, weftWith, file, serve } = commandLine();

describe('apply', () => {
  const MESH = 'network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\n';
  let sent: pb.ApplyRequest | undefined;
  let mesh: Mesh | undefined;
  const answering = (response: pb.Outgoing<pb.ChangeResult>, status = { connected: 2 }) =>
    serve({
      getStatus: (_call, answer) => answer(null, { networks: [{ network: 'prod', ...status }] }),
      apply: (call, answer) => {
        sent = call.request;
        mesh = meshFromWire(call.request.mesh);
        answer(null, { result: response });
      },
    });

  test('prints the changes, and warnings with their place on stderr', async () => {
    await answering({
      revision: 4,
      changes: [
        { operation: 1, subject: 'service redis' },
        { operation: 2, subject: 'policy a', detail: 'action deny' },
        { operation: 3, subject: 'service old' },
      ],
      warnings: [{ field: 'services.redis', message: 'nothing runs it' }],
    });
    const path = await file('mesh.yaml', MESH);
    expect(await weft('apply', '-f', path, '--yes', '--wait', '--timeout', '500ms')).toEqual({
      code: 0,
      out: '+ service redis\n~ policy a: action deny\n- service old\napplied to network prod: revision 4, enforced by every connected agent (2)\n',
      err: `warning: ${path}:3:10: services.redis: nothing runs it\n`,
    });
    expect(sent).toMatchObject({
      terms: { dryRun: false, wait: true, timeout: durationToWire(500), expectedRevision: 0 },
    });
    expect(mesh).toMatchObject({ network: 'prod', services: [{ name: 'redis' }] });
  });

  test('says of a dry run whose programs lose and gain what, where nobody knows of which service they are', async () => {
    const hosts = Array.from({ length: 9 }, (_, at) => `data-${at}`);
    await answering({
      revision: 4,
      changes: [{ operation: 1, subject: 'policy in' }],
      hostReach: [
        { hosts: ['data-1'], hostCount: 1, to: ['redis:6379', 'dns:53/udp'], toCount: 2, verdict: 2, rule: 'in' },
        { hosts, hostCount: 120, to: ['web:3000'], toCount: 1, verdict: 1, rule: 'default' },
      ],
    });
    const path = await file('mesh.yaml', MESH);
    const { out } = await weft('apply', '-f', path, '--dry-run');
    const lines = [
      '+ policy in',
      'host:data-1 loses redis:6379, dns:53/udp (rule in)',
      `${hosts
        .slice(0, 8)
        .map((host) => `host:${host}`)
        .join(', ')} and 112 more gain web:3000 (by the default)`,
      'what is open as such a host and loses is cut, also where rules permit it to the service that it is of: opened again, it passes as the service',
    ];
    expect(out).toBe(`${lines.join('\n')}\ndry run: nothing was changed; network prod stays at revision 4\n`);
    expect((await weft('diff', '-f', path)).out).toBe(`${lines.join('\n')}\n`);
    const json = JSON.parse((await weft('apply', '-f', path, '--dry-run', '--json')).out) as { host_reach: unknown[] };
    expect(json.host_reach[0]).toEqual({
      ...{ hosts: ['data-1'], host_count: 1, to: ['redis:6379', 'dns:53/udp'], to_count: 2 },
      ...{ verdict: 'deny', rule: 'in' },
    });
  });

  test('says so where there is nobody to enforce it', async () => {
    await answering({ revision: 4 }, { connected: 0 });
    const { code, out } = await weft('apply', '-f', await file('mesh.yaml', MESH), '--wait');
    expect({ code, out }).toEqual({
      code: 0,
      out: 'network prod was already so: revision 4, no agent is connected, so that none enforces it yet\n',
    });
  });

  describe('that takes more than half of the services away', () => {
    let revisions: (number | undefined)[] = [];
    const serving = (removed: number) => {
      revisions = [];
      const changes = Array.from({ length: removed }, (_, index) => ({
        operation: 3,
        subject: `service old-${index}`,
      }));
      return serve({
        apply: ({ request: { terms } }, answer) => {
          if (terms?.dryRun !== true) revisions.push(terms?.expectedRevision);
          answer(null, { result: { revision: 7, changes } });
        },
      });
    };
    const question = 'this takes 2 of the 3 services of network prod away;';

    test('is refused where nobody can be asked', async () => {
      await serving(2);
      const { code, err } = await weft('apply', '-f', await file('mesh.yaml', MESH));
      expect({ code, revisions }).toEqual({ code: 1, revisions: [] });
      expect(err).toContain(`${question} nobody is at a terminal to be asked: --yes says so; nothing was changed`);
      const empty = await weft('apply', '-f', await file('empty.yaml', 'network: prod\n'));
      expect({ code: empty.code, revisions }).toEqual({ code: 1, revisions: [] });
    });

    test('is asked for on a terminal, and is of what was looked at', async () => {
      await serving(2);
      const path = await file('mesh.yaml', MESH);
      expect((await weftWith({ answer: 'n' }, 'apply', '-f', path)).code).toBe(1);
      expect(revisions).toEqual([]);
      const { code, err } = await weftWith({ answer: 'yes' }, 'apply', '-f', path);
      expect({ code, err, revisions }).toEqual({ code: 0, err: `${question} go on? [y/N] `, revisions: [7] });
    });

    test('goes without a question with --yes, and so does what takes half', async () => {
      await serving(2);
      const path = await file('mesh.yaml', MESH);
      expect((await weft('apply', '-f', path, '--yes')).code).toBe(0);
      await serving(1);
      expect((await weft('apply', '-f', path)).code).toBe(0);
      expect(revisions).toEqual([0]);
    });
  });

  describe('with what hosts may run', () => {
    const RIGHTS = `${MESH}agents:\n  a: { services: [redis] }\n`;

    test('is refused for control of an older version, which would pass it over', async () => {
      await serve({ getStatus: (_call, answer) => answer(null, { version: '0.1.0', capability: 5 }) });
      const { code, err } = await weft('apply', '-f', await file('mesh.yaml', RIGHTS), '--yes');
      expect({ code, err }).toEqual({
        code: 1,
        err: 'weft: control of version 0.1.0 does not know agents.a.services: upgrade it first, or take the key out; nothing was changed\n',
      });
    });

    test.each([
      ['asks where it takes more than half of that away', 'a: {}', 1],
      ['asks nothing where it gives', 'a: { services: [redis, kind:web] }', 0],
    ])('%s', async (_what, after, code) => {
      const { mesh: held } = parseMeshFile('mesh.yaml', RIGHTS);
      await serve({
        getStatus: (_call, answer) => answer(null, { capability: CAPABILITY }),
        getMesh: (_call, answer) => answer(null, { mesh: meshToWire(held), revision: 3 }),
        apply: (_call, answer) =>
          answer(null, { result: { revision: 3, changes: [{ operation: 2, subject: 'agent a' }] } }),
      });
      const applied = await weft('apply', '-f', await file('mesh.yaml', `${MESH}agents:\n  ${after}\n`));
      expect(applied.code).toBe(code);
      if (code !== 0) {
        const question = 'this takes 1 of the 1 services that hosts of network prod may run by the mesh away;';
        expect(applied.err).toContain(`${question} nobody is at a terminal`);
      }
    });
  });

  test('names those that are missing while it waits', async () => {
    let asked = 0;
    const { promise: told, resolve: enough } = Promise.withResolvers<void>();
    await serve({
      getStatus: (_call, answer) => {
        asked += 1;
        if (asked === 3) enough();
        const behind = asked === 1 ? ['build-3', 'build-4'] : ['build-4'];
        answer(null, { networks: [{ network: 'prod', connected: 2, behind, behindCount: behind.length }] });
      },
      apply: (_call, answer) => void told.then(() => answer(null, { result: { revision: 4 } })),
    });
    const { code, err } = await weft('apply', '-f', await file('mesh.yaml', MESH), '--yes', '--wait');
    expect({ code, err }).toEqual({ code: 0, err: 'waiting for build-3, build-4\nwaiting for build-4\n' });
  });

  test('that is interrupted is exit code 130, and says what it leaves', async () => {
    const stop = new AbortController();
    await serve({ apply: ({ request }) => void (request.terms?.dryRun !== true && stop.abort()) });
    const { signal } = stop;
    const { code, out, err } = await weftWith({ signal }, 'apply', '-f', await file('mesh.yaml', MESH), '--yes');
    expect({ code, out }).toEqual({ code: 130, out: '' });
    expect(err).toBe(
      'weft: interrupted; control may have taken the mesh, and goes on with it: weft history --network prod tells\n',
    );
  });

  test('a dry run changes nothing and says so', async () => {
    await answering({ revision: 3, changes: [{ operation: 1, subject: 'service redis' }] });
    const { out } = await weft('apply', '-f', await file('mesh.yaml', MESH), '--dry-run');
    expect(out).toBe('+ service redis\ndry run: nothing was changed; network prod stays at revision 3\n');
    expect(sent?.terms?.dryRun).toBe(true);
    await weft('apply', '-f', await file('mesh.yaml', MESH), '--expect', '3');
    expect(sent?.terms).toMatchObject({ dryRun: false, expectedRevision: 3 });
    expect((await weft('apply', '-f', await file('mesh.yaml', MESH), '--expect', 'x')).code).toBe(2);
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
      version: 1,
      network: 'prod',
      revision: 4,
      dry_run: false,
      changes: [],
      host_reach: [],
      warnings: [],
      stragglers: ['build-3', 'build-4'],
      not_kept: [],
    });
  });

  test('names those that enforce it and cannot keep it, and fails', async () => {
    await answering({ revision: 4, notKept: ['build-3'] });
    const { code, err } = await weft('apply', '-f', await file('mesh.yaml', MESH), '--wait');
    expect(code).toBe(1);
    expect(err).toContain('revision 4 is enforced, but not kept by: build-3. They cannot write it to their disk');
  });

  test('a wrong file is refused here, with line and column, and control is not asked', async () => {
    sent = undefined;
    await answering({});
    const path = await file('wrong.yaml', 'network: prod\nservices:\n  redis: { kind: privat }\n');
    const { code, out, err } = await weft('apply', '-f', path);
    expect({ code, out, sent }).toEqual({ code: 2, out: '', sent: undefined });
    expect(err).toContain(
      `${path}:3:18: services.redis.kind: expected web, private or worker, found "privat"; did you mean "private"?`,
    );
    expect(err).toContain('nothing was changed');
  });

  test("control's own refusals get their line and column too", async () => {
    await serve({
      apply: (_call, answer) =>
        answer(
          errorStatus(status.INVALID_ARGUMENT, 'wrong', {
            reason: 'tests-failed',
            fields: [{ field: 'tests[0]', message: 'expected allow, got deny by default' }],
          }),
        ),
    });
    const path = await file('tested.yaml', `${MESH}tests:\n  - { from: redis, to: "redis:6379", expect: allow }\n`);
    const { code, err } = await weft('apply', '-f', path);
    expect(code).toBe(2);
    expect(err).toContain(`${path}:5:5: tests[0]: expected allow, got deny by default`);
  });

  test('a timeout that is none is wrong usage', async () => {
    expect((await weft('apply', '-f', 'x', '--timeout', '1 hour')).code).toBe(2);
  });
});
