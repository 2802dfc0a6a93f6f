import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

const SERVICES = `
services:
  renewed: { kind: private, ports: [9000] }
  lasting: { kind: private, ports: [9000] }
  parted: { kind: private, ports: [9000] }
`;

let mesh: Mesh;
let near: Agent;
let far: Agent;
let program: TcpProgram;

beforeAll(async () => {
  mesh = await Mesh.start(SERVICES);
  program = await echo();
  const target = { 9000: program.port };
  const limits = { tunnel: { renewal: 150, rekey: 60, tick: 40 } };
  far = await mesh.agent('far', {
    services: { renewed: target, lasting: target, parted: target },
    limits,
    controlRelay: true,
  });
  near = await mesh.agent('near', { limits, controlRelay: true });
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

test('keys change under traffic, and nobody notices', async () => {
  const before = await near.status();
  const sockets = await Promise.all(Array.from({ length: 4 }, () => near.connect('renewed', 9000)));
  await Promise.all(sockets.map((socket) => exchange(socket, 24 << 20)));
  await until(
    'several new handshakes',
    async () => renewals(await near.status()) - renewals(before),
    (count) => count >= 5,
  );
  await Promise.all(sockets.map((socket) => says(socket, 'still here')));
  expect((await near.status()).tunnel).toMatchObject({ violations: 0, handshakesFailed: 0 });
  expect((await far.status()).tunnel).toMatchObject({ violations: 0, handshakesFailed: 0 });
  const closed = sockets.map(ending);
  for (const socket of sockets) socket.end();
  expect(new Set(await Promise.all(closed))).toEqual(new Set(['closed']));
  const records = await mesh.recorded('renewed', 4);
  expect(records.every(({ outcome }) => outcome === 'closed')).toBe(true);
});

test('control restarts: flows go on, new ones open, and their records arrive', async () => {
  const vip = await near.vip('lasting');
  const live = await connect(vip, 9000);
  await says(live, 'before');
  await mesh.stopControl();
  await until(
    'near to see it',
    () => near.status(),
    ({ state }) => state === 'stale',
  );
  await says(live, 'meanwhile');
  const meanwhile = await connect(vip, 9000);
  await says(meanwhile, 'new');
  const closed = ending(meanwhile);
  meanwhile.end();
  expect(await closed).toBe('closed');
  expect((await near.status()).staleSince).not.toBeNull();
  await mesh.startControl();
  for (const agent of [near, far])
    await until(
      'the link',
      () => agent.status(),
      ({ state }) => state === 'connected',
    );
  await says(live, 'after');
  // The whole mesh once more changes nothing, and cuts nothing.
  await mesh.apply(SERVICES);
  await says(live, 'and on');
  const over = ending(live);
  live.end();
  expect(await over).toBe('closed');
  expect(await mesh.recorded('lasting', 2)).toMatchObject([
    { outcome: 'closed', bytesSent: 3 },
    { outcome: 'closed', bytesSent: 26 },
  ]);
});

test('an agent that control does not reach goes by what it knew, and by the new rules when it is back', async () => {
  const vip = await near.vip('parted');
  const live = await connect(vip, 9000);
  await says(live, 'before');
  for (const agent of [near, far]) {
    agent.controlRelay.stall();
    agent.controlRelay.cut();
  }
  const denying = `${SERVICES}policies:\n  - { name: parting, action: deny, from: ['host:near'], to: [parted] }\n`;
  const revision = await mesh.apply(denying);
  await says(live, 'meanwhile');
  const ended = ending(live);
  // Back for the destination alone: its word is enough.
  far.controlRelay.unstall();
  far.controlRelay.cut();
  expect(await ended).toBe('reset');
  expect(await ending(await connect(vip, 9000))).toBe('reset');
  near.controlRelay.unstall();
  near.controlRelay.cut();
  await until(
    'near to enforce it',
    () => near.status(),
    (status) => status.revision === revision,
  );
  expect(await ending(await connect(vip, 9000))).toBe('reset');
  const denied = { verdict: 'deny', rule: 'parting', revision };
  expect(await mesh.recorded('parted', 3)).toMatchObject([
    { ...denied, outcome: 'cut', bytesSent: 15 },
    { ...denied, outcome: 'denied' },
    { ...denied, outcome: 'denied' },
  ]);
});

test('a rule that cut a flow at its source, of which its destination had not heard, is the one that is told', async () => {
  await mesh.apply(SERVICES);
  const vip = await near.vip('parted');
  const live = await connect(vip, 9000);
  await says(live, 'before');
  const before = (await mesh.recorded('parted', 3)).length;
  far.controlRelay.stall();
  far.controlRelay.cut();
  const ended = ending(live);
  const denying = `${SERVICES}policies:\n  - { name: late, action: deny, from: ['host:near'], to: [parted] }\n`;
  const revision = await mesh.apply(denying);
  expect(await ended).toBe('reset');
  far.controlRelay.unstall();
  far.controlRelay.cut();
  const told = await until(
    'both ends to tell of it',
    () => mesh.recorded('parted', before + 1),
    (records) => records.slice(before).some(({ bytesReceived }) => bytesReceived === 6),
  );
  expect(told.at(-1)).toMatchObject({ verdict: 'deny', rule: 'late', revision, outcome: 'cut' });
});

/** Sends so many random bytes and hears the same again. */
async function exchange(socket: Socket, total: number): Promise<void> {
  const piece = randomBytes(256 << 10);
  const [sent, heard] = [createHash('sha256'), createHash('sha256')];
  let offered = 0;
  let back = 0;
  const done = new Promise<void>((resolve, reject) => {
    const take = (data: Buffer): void => {
      heard.update(data);
      back += data.length;
      if (back < total) return;
      socket.off('data', take);
      socket.pause();
      resolve();
    };
    socket.on('data', take);
    socket.once('close', () => reject(new Error(`closed after ${back} of ${total} bytes`)));
  });
  const write = (): void => {
    while (offered < total) {
      offered += piece.length;
      sent.update(piece);
      if (!socket.write(piece)) return;
    }
    socket.off('drain', write);
  };
  socket.on('drain', write);
  write();
  await done;
  expect(heard.digest('hex')).toBe(sent.digest('hex'));
}

/** The status holds every counter of the tunnels; this one is not among those it promises. */
function renewals({ tunnel }: Awaited<ReturnType<Agent['status']>>): number {
  return 'renewals' in tunnel && typeof tunnel.renewals === 'number' ? tunnel.renewals : 0;
}
