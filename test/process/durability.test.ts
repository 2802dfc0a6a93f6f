/** What control has answered, it keeps: killed with -9 again and again during a thousand applies. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { decodeAdminToken } from '@weft/proto';
import { AdminClient, adminService, bearerMetadata, callUnary, pinnedCredentials } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab } from '../harness/host.ts';
import { Control } from '../harness/weft.ts';

const APPLIES = 1_000;

/** How a call ends whose connection was cut: nothing else may fail here. */
const CUT_OFF: readonly unknown[] = [status.UNAVAILABLE, status.CANCELLED, status.INTERNAL];

test('no accepted revision is lost when control is killed during 1,000 applies', async () => {
  await using lab = createLocalLab();
  const control = await Control.start(await lab.host('main'), {
    control: await freePort(),
    dashboard: await freePort(),
  });
  const token = readFileSync(join(control.dataDir, 'admin.token'), 'utf8').trim();
  const { pin } = decodeAdminToken(token);
  const metadata = bearerMetadata(token);
  const connect = async (): Promise<AdminClient> =>
    new AdminClient(control.listen, await pinnedCredentials(control.listen, pin, AbortSignal.timeout(5_000)));
  // Each mesh says its own number, so that what is held afterwards can be told.
  const apply = async (client: AdminClient, number: number): Promise<number> => {
    const services = [{ name: 'counter', kind: 2, ports: [{ protocol: 1, first: 1 + number, last: 1 + number }] }];
    const mesh = { network: 'prod', defaultAction: 1, services };
    const answer = await callUnary(client, adminService.apply, { mesh }, { metadata, deadlineMs: 5_000 });
    return Number(answer.result?.revision);
  };
  const held = async (client: AdminClient): Promise<{ number: number; revision: number }> => {
    const answer = await callUnary(client, adminService.getMesh, { network: 'prod' }, { metadata, deadlineMs: 5_000 });
    return { number: (answer.mesh?.services?.[0]?.ports?.[0]?.first ?? 0) - 1, revision: Number(answer.revision) };
  };

  let client = await connect();
  let accepted = { number: 0, revision: await apply(client, 0) };
  let kills = 0;
  let cutOff = 0;
  let number = 1;
  while (number < APPLIES) {
    const burst = Math.min(APPLIES, number + 60 + ((number * 7) % 80));
    const work = (async () => {
      for (; number < burst; number++) accepted = { number, revision: await apply(client, number) };
    })();
    const end = work.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    // Every other kill falls into the middle of an apply, and those between into a pause. Nothing may fail before it.
    if (kills % 2 === 0) await work;
    else await Promise.race([work, new Promise((soon) => setTimeout(soon, 40 + ((number * 13) % 60)))]);
    await control.process.kill();
    kills++;
    const cut = await end;
    if (cut !== undefined) {
      expect(CUT_OFF, String(cut.error)).toContain((cut.error as Partial<ServiceError>).code);
      cutOff++;
    }
    client.close();
    await control.restart();
    client = await connect();
    const after = await held(client);
    // The one apply that was cut off may have been taken without its answer; nothing that was answered may be missing.
    expect([accepted.number, accepted.number + 1]).toContain(after.number);
    expect(after.revision).toBe(accepted.revision + (after.number - accepted.number));
    accepted = after;
    number = after.number + 1;
  }
  client.close();
  expect(kills).toBeGreaterThan(5);
  expect(cutOff).toBeGreaterThanOrEqual(3);
});
