import {
  actionCodec,
  actorKindCodec,
  breakPointCodec,
  callerName,
  type pb,
  ruleToWire,
  timestampToWire,
} from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';
import { formatTime } from './format.ts';

const { weft, serve } = commandLine();

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
    expect(asked).toMatchObject({ from: { service: 'web' }, service: 'redis', port: 6379 });
  });

  const answering = (response: pb.Outgoing<pb.ExplainResponse>) =>
    serve({
      explain: (call, answer) => answer(null, { ...response, reason: `${callerName(call.request.from, '')} asks` }),
    });

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

  test('what was not tried is promised by no word and by no exit code', async () => {
    const step = 'whether it can be reached was not tried: no agent of web that may call is connected';
    const breakPoint = breakPointCodec.toWire('not-tried');
    await answering({ verdict: actionCodec.toWire('allow'), breakPoint, steps: [step] });
    const { code, out } = await weft('explain', 'web', 'redis:6379');
    expect([code, out.split('\n').slice(-3)]).toEqual([
      4,
      [`- ${step}`, 'permitted, but whether it works was not tried: see above', ''],
    ]);
    expect(JSON.parse((await weft('explain', 'web', 'redis:6379', '--json')).out)).toMatchObject({
      ...{ verdict: 'allow', break_point: 'not-tried' },
    });
  });

  test('says from which of the caller’s hosts it would not work', async () => {
    await answering({
      verdict: actionCodec.toWire('allow'),
      breakPoint: breakPointCodec.toWire('none'),
      refusedHosts: ['data-a', 'data-b'],
    });
    const { code, out } = await weft('explain', 'api', 'config:8080');
    expect(code).toBe(4);
    expect(out).toMatch(/\nit would work, but not from data-a, data-b: see above\n$/);
  });

  test('says from which of them it was not tried, which is no failure', async () => {
    const none = { verdict: actionCodec.toWire('allow'), breakPoint: breakPointCodec.toWire('none') };
    await answering({ ...none, untriedHosts: ['data-c'] });
    const { code, out } = await weft('explain', 'api', 'config:8080');
    expect([code, out.split('\n').at(-2)]).toEqual([0, 'it would work, but was not tried from data-c: see above']);
    await answering({ ...none, refusedHosts: ['data-a'], untriedHosts: ['data-c'] });
    expect((await weft('explain', 'api', 'config:8080')).out).toMatch(
      /\nit would work, but not from data-a, and was not tried from data-c: see above\n$/,
    );
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
      version: 1,
      from: 'internet',
      process: null,
      to: { service: 'mailer', port: 25, protocol: 'tcp' },
      verdict: 'deny',
      rule: 'builtin:worker',
      revision: 7,
      reason: 'internet asks',
      break_point: 'no-such-name',
      steps: [],
      refused_hosts: [],
      untried_hosts: [],
      deciding_rule: null,
      deciding_rule_origin: null,
      remedy: null,
    });
  });

  test('a break is 4, from all hosts of the caller or from some', async () => {
    const allow = { verdict: actionCodec.toWire('allow') };
    await answering({ ...allow, breakPoint: breakPointCodec.toWire('not-listening') });
    expect(await weft('explain', 'web', 'redis:6379')).toMatchObject({ code: 4, err: '' });
    await answering({ ...allow, breakPoint: breakPointCodec.toWire('none'), refusedHosts: ['data-a'] });
    expect(await weft('explain', 'web', 'redis:6379')).toMatchObject({ code: 4, err: '' });
  });

  test('tells the rule that decided as the mesh file has it, and what would permit the flow', async () => {
    const no = {
      name: 'no',
      from: ['web'],
      to: ['redis'],
      ports: [{ protocol: 'any', first: 6379, last: 6379 }],
    } as const;
    const yes = {
      ...no,
      name: 'web-to-redis',
      action: 'allow',
      ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
    } as const;
    const set = { revision: 7, setTime: timestampToWire(NOW), actor: { kind: actorKindCodec.toWire('admin') } };
    await answering({
      ...{ verdict: actionCodec.toWire('deny'), rule: 'no', breakPoint: breakPointCodec.toWire('denied') },
      decidingRule: ruleToWire({ ...no, action: 'deny' }),
      decidingRuleOrigin: { rule: 'no', ...set, file: 'mesh.yaml', line: 14 },
      remedy: {
        ...{ denies: ['no', 'other'], deniesCount: 3, rule: ruleToWire(yes) },
        deniesOrigins: [{ rule: 'no', ...set }, { rule: 'other' }],
      },
    });
    const { code, out } = await weft('explain', 'web', 'redis:6379');
    expect(code).toBe(3);
    expect(out.split('\n')).toEqual([
      'deny  web -> redis:6379',
      'rule: { name: no, action: deny, from: [web], to: [redis], ports: [6379] }',
      `written: mesh.yaml:14, set by admin at ${formatTime(NOW)}, revision 7`,
      ...['revision: 0', 'reason: web asks', 'breaks at: denied'],
      'what denies it: no, other and 1 more; no allow beats a deny, so they are to be taken away, or to speak of less',
      '  - other: who set it, and when, is not known',
      'and then this rule permits it, and nothing else:',
      '  - { name: web-to-redis, action: allow, from: [web], to: [redis], ports: [6379/tcp] }',
      '',
    ]);
    const json = JSON.parse((await weft('explain', 'web', 'redis:6379', '--json')).out) as object;
    expect(json).toMatchObject({
      deciding_rule: { name: 'no', action: 'deny', from: ['web'], to: ['redis'], ports: ['6379'] },
      remedy: { denies: ['no', 'other'], denies_count: 3, rule: { name: 'web-to-redis', ports: ['6379/tcp'] } },
    });
  });
});
