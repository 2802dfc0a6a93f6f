import { status } from '@grpc/grpc-js';
import { VOCABULARY } from '@weft/proto';
import { adminService, errorDetails } from '@weft/proto/wire';
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
