import { status } from '@grpc/grpc-js';
import { VOCABULARY } from '@weft/proto';
import { adminService, errorDetails, type pb } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { joinHost } from '../netmap/network.fixture.ts';
import { redis, refusal, startAdmin } from './admin.fixture.ts';

test('an apply that a member could not enforce changes nothing, and is taken where that member is to be left behind', async () => {
  // As though workers had come with number 2.
  const bench = await startAdmin({ ...VOCABULARY, kinds: { ...VOCABULARY.kinds, worker: 2 } });
  try {
    await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
    await joinHost(bench.state, 'prod', { host: 'old', services: ['redis'] });
    const mesh = { network: 'prod', services: [redis, { name: 'mailer', kind: 3 }] };
    for (const dryRun of [true, false]) {
      const error = await refusal(bench.ask(adminService.apply, { mesh, terms: { dryRun } }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(errorDetails(error).fields).toEqual([
        {
          field: 'services.mailer.kind',
          message: expect.stringContaining('which these hosts have not: old (1); upgrade'),
        },
      ]);
    }
    const { mesh: held } = await bench.ask(adminService.getMesh, {});
    expect(held?.services).toHaveLength(1);
    const put = bench.ask(adminService.putService, { service: { name: 'mailer', kind: 3 } });
    expect(errorDetails(await refusal(put)).fields).toMatchObject([{ field: 'service.kind' }]);
    const { result: taken } = await bench.ask(adminService.apply, { mesh, terms: { leaveBehind: true } });
    expect(taken?.warnings).toEqual([
      { field: 'services.mailer.kind', message: expect.stringContaining('old (1); until they are upgraded') },
    ]);
    expect((await bench.ask(adminService.apply, { mesh })).result?.warnings).toEqual([]);
  } finally {
    await bench.close();
  }
});

test('what an older host would not be denied is not granted it, unless it is to be left behind', async () => {
  const bench = await startAdmin();
  try {
    const [web, tagged] = ['web', 'batch'].map((name) => ({ ...redis, name, tags: [`${name}s`] }));
    const services = [redis, web, tagged].map((each) => each ?? redis);
    const rule = (name: string, action: number, ...from: string[]) => ({ name, action, from, to: ['redis'] });
    const policies = [
      rule('shut', 2, 'web'),
      rule('jobs', 2, 'tag:batchs'),
      rule('open', 1, 'redis'),
      rule('all', 2, '*'),
    ];
    const mesh = { network: 'prod', services, policies };
    await bench.ask(adminService.apply, { mesh });
    await joinHost(bench.state, 'prod', { host: 'old', services: [] });
    const grant = (services: string[], terms: pb.Outgoing<pb.ChangeTerms> = {}, take = false) =>
      bench.ask(adminService.grantServices, { agent: 'old', services, take, terms });
    // Redis may call, and what * denies is denied to each process as it is.
    await grant(['redis']);
    for (const [entry, said] of [
      [
        'web',
        'what is denied to web (shut), a process of old needs capability 4, which that host has not (1); upgrade',
      ],
      ['kind:private', 'denied to batch, web (jobs, shut)'],
    ] as const) {
      for (const dryRun of [true, false]) {
        const error = await refusal(grant([entry], { dryRun }));
        expect([error.code, errorDetails(error).fields]).toEqual([
          ...[status.INVALID_ARGUMENT, [{ field: 'services', message: expect.stringContaining(said) }]],
        ]);
      }
    }
    const settings = { agent: { name: 'old', services: ['batch'] } };
    const put = await refusal(bench.ask(adminService.putAgent, settings));
    expect(errorDetails(put).fields).toMatchObject([{ field: 'agent.services' }]);
    const { result: left } = await bench.ask(adminService.putAgent, { ...settings, terms: { leaveBehind: true } });
    expect(left?.warnings).toMatchObject([{ field: 'policies[1]' }, { field: 'agent.services' }]);
    const { result, granted } = await grant(['web'], { leaveBehind: true });
    expect(granted).toEqual(['redis', 'web']);
    expect(result?.warnings[0]?.message).toContain(
      'until it is upgraded, such a rule is lost between it and other hosts',
    );
    // What it may run already is asked no more, and to take is possible always.
    expect((await grant(['web'])).result?.warnings.map(({ message }) => message.slice(0, 4))).not.toContain('to b');
    expect((await grant(['web'], {}, true)).granted).toEqual(['redis']);
  } finally {
    await bench.close();
  }
});

test('a grant is refused where the mesh, or what the host may run, was changed since', async () => {
  const bench = await startAdmin();
  try {
    await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
    await joinHost(bench.state, 'prod', { host: 'a', services: [] });
    const grant = (services: string[], expectedRevision: number) =>
      bench.ask(adminService.grantServices, { agent: 'a', services, terms: { expectedRevision } });
    const { revision = 0 } = await bench.ask(adminService.getMesh, {});
    await joinHost(bench.state, 'prod', { host: 'b', services: [] });
    const { result } = await grant(['redis'], revision);
    expect(result?.revision).toBe(revision + 2);
    for (const expected of [revision, revision + 1]) {
      const late = await refusal(grant(['web'], expected));
      expect([late.code, errorDetails(late).reason]).toEqual([status.FAILED_PRECONDITION, 'CHANGED_SINCE']);
      expect(late.details).toContain(`what a may run was changed at revision ${revision + 2}`);
    }
    await grant(['web'], revision + 2);
  } finally {
    await bench.close();
  }
});
