/** What was acknowledged as taken away stays away: whoever is killed, and whatever the disk does. */

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import {
  AdminClient,
  adminService,
  bearerMetadata,
  callUnary,
  durationToWire,
  pinnedCredentials,
} from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { createLocalLab } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { DENY, shop } from './shop.ts';

test('a deny that every agent acknowledged holds after a kill of all of them, with control down', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { control, data, front, call } = await shop(cleanup.use(createLocalLab()), cleanup);
  const token = readFileSync(join(control.dataDir, 'admin.token'), 'utf8').trim();
  const { pin } = decodeAdminToken(token);
  const client = new AdminClient(
    control.listen,
    await pinnedCredentials(control.listen, pin, AbortSignal.timeout(5_000)),
  );
  const metadata = bearerMetadata(token);
  const held = await callUnary(client, adminService.getMesh, { network: 'prod' }, { metadata, deadlineMs: 5_000 });
  const policies = [{ name: 'shut', action: 2, from: ['web'], to: ['echo'] }];
  const answer = await callUnary(
    client,
    adminService.apply,
    { mesh: { ...held.mesh, policies }, terms: { wait: true, timeout: durationToWire(5_000) } },
    { metadata, deadlineMs: 10_000 },
  );
  // No command's end between the answer and the kill.
  await Promise.all([data.process.kill(), front.process.kill(), control.process.kill()]);
  client.close();
  expect(answer.result).toMatchObject({ stragglers: [], notKept: [] });
  await Promise.all([data.restart(), front.restart()]);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
});

test('an agent that cannot write says so to whoever waits, and keeps it as soon as it can', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { control, data, front, mesh, call } = await shop(cleanup.use(createLocalLab()), cleanup);
  // A directory in the file's place refuses the write whoever asks, root too.
  const blocked = join(front.dataDir, 'netmap.json');
  rmSync(blocked);
  mkdirSync(join(blocked, 'in-the-way'), { recursive: true });
  const applied = await control.weft('apply', '-f', control.meshFile(mesh(DENY)), '--wait');
  expect(applied.code).toBe(1);
  expect(applied.stderr).toMatch(/enforced, but not kept by: front\./);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  const listed = await until(
    'the problem',
    () => control.ok('agents', '--json'),
    (text) => text.includes('netmap-not-kept'),
  );
  const kept = (text: string) =>
    (JSON.parse(text) as { agents: { host: string; kept: boolean }[] }).agents.map((agent) => [agent.host, agent.kept]);
  expect(kept(listed)).toEqual([
    ['data', true],
    ['front', false],
  ]);
  rmSync(blocked, { recursive: true });
  await until(
    'it is kept',
    () => control.ok('agents', '--json'),
    (text) => !text.includes('netmap-not-kept') && kept(text).every(([, is]) => is),
    SETTLED_MS,
  );
  await Promise.all([data.process.kill(), front.process.kill(), control.process.kill()]);
  await Promise.all([data.restart(), front.restart()]);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
});
