import { status } from '@grpc/grpc-js';
import type { pb } from '@weft/proto/wire';
import { beforeEach, expect, test } from 'vitest';
import { commandLine } from './command-line.fixture.ts';

const { weft, serve } = commandLine();

let asked: pb.Message<'GrantServicesRequest'> | undefined;
const answering = (result: pb.Outgoing<pb.ChangeResult>, granted: string[]) =>
  serve({
    grantServices: ({ request }, answer) => {
      asked = request;
      answer(null, { result: { revision: 7, ...result }, granted });
    },
  });
beforeEach(() => {
  asked = undefined;
});

const changes = [{ operation: 2, subject: 'agent a', detail: 'services redis -> rabbit, redis' }];

test('says what the host may run now, who has not taken it up, and what is likely a mistake', async () => {
  await answering(
    {
      changes,
      stragglers: ['a'],
      warnings: [{ field: 'services[0]', message: 'the mesh declares no service rabbit yet' }],
    },
    ['rabbit', 'redis'],
  );
  const { code, out, err } = await weft('grant', 'a', '--services', 'rabbit,kind:web,*', '--network', 'prod');
  expect({ code, out }).toEqual({ code: 0, out: 'a may run, by its tokens and grants: rabbit, redis; revision 7\n' });
  expect(err).toContain(
    'warning: the mesh declares no service rabbit yet\nnote: revision 7 is accepted, but not enforced',
  );
  expect(asked).toMatchObject({
    ...{ network: 'prod', agent: 'a', services: ['rabbit', 'kind:web', '*'], take: false },
    terms: { wait: true, dryRun: false, leaveBehind: false },
  });
  await weft('grant', 'a', '--services', 'rabbit', '--leave-behind');
  expect(asked?.terms?.leaveBehind).toBe(true);
});

test('takes away, and says where it was so already', async () => {
  await answering({}, []);
  expect((await weft('grant', 'a', '--services', 'rabbit', '--take')).out).toBe(
    'a may run, by its tokens and grants: nothing; so it was already\n',
  );
  expect(asked?.take).toBe(true);
});

test('what is no service is refused before anything is asked', async () => {
  await answering({}, []);
  expect(await weft('grant', 'a', '--services', '')).toMatchObject({ code: 2 });
  expect(await weft('grant', 'a', '--services', 'tag:eu')).toMatchObject({
    code: 2,
    err: expect.stringContaining(
      '--services takes lower case names with commas between, such as redis,web, or kind:KIND, or *',
    ),
  });
  expect(asked).toBeUndefined();
});

test('control of an older version is told of as that', async () => {
  await serve({ grantServices: (_call, answer) => answer({ code: status.UNIMPLEMENTED, details: 'unknown method' }) });
  expect(await weft('grant', 'a', '--services', 'rabbit')).toMatchObject({
    code: 1,
    err: expect.stringContaining('control is of an older version, which cannot widen or narrow what a host may run'),
  });
});
