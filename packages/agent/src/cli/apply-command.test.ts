import { status } from '@grpc/grpc-js';
import type { Mesh } from '@weft/proto';
import { durationToWire, errorStatus, meshFromWire, type pb } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { commandLine } from './command-line.fixture.ts';

const { weft, file, serve } = commandLine();

describe('apply', () => {
  const MESH = 'network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\n';
  let sent: pb.ApplyRequest | undefined;
  let mesh: Mesh | undefined;
  const answering = (response: pb.Outgoing<pb.ChangeResult>) =>
    serve({
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
    expect(await weft('apply', '-f', path, '--wait', '--timeout', '500ms')).toEqual({
      code: 0,
      out: '+ service redis\n~ policy a: action deny\n- service old\napplied to network prod: revision 4, enforced by every connected agent\n',
      err: `warning: ${path}:3:10: services.redis: nothing runs it\n`,
    });
    expect(sent).toMatchObject({
      terms: { dryRun: false, wait: true, timeout: durationToWire(500), expectedRevision: 0 },
    });
    expect(mesh).toMatchObject({ network: 'prod', services: [{ name: 'redis' }] });
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
      network: 'prod',
      revision: 4,
      dry_run: false,
      changes: [],
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
