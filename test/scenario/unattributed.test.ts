import type { Socket } from 'node:net';
import { adminService, meshToWire } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseMeshFile } from '../../packages/agent/src/config/mesh-file.ts';
import type { Agent } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

const NO_ADMIN = '{ name: no-admin-ui, action: deny, from: [web], to: ["rabbit:15672"] }';
const WORKER = 'mailer: { kind: worker }';
const NO_BATCH = '{ name: no-batch, action: deny, from: [tag:batch], to: [rabbit], ports: [15672] }';

function meshOf(rules: readonly string[], services: readonly string[] = []): string {
  return `services:
  web: { kind: web, ports: [3000] }
  redis: { kind: private, ports: [6379] }
  rabbit: { kind: private, ports: [5672, 15672] }
${services.map((each) => `  ${each}\n`).join('')}policies: [${rules.join(', ')}]
`;
}

let mesh: Mesh;
let program: TcpProgram;
let mixed: Agent;

beforeAll(async () => {
  mesh = await Mesh.start(meshOf([]));
  program = await echo();
  const { port } = program;
  await mesh.agent('data', { services: { rabbit: { 5672: port, 15672: port } } });
  // It runs two services of the mesh, so whatever calls from it does so as its host; the worker is declared later.
  mixed = await mesh.agent('mixed', { services: { web: { 3000: port }, redis: { 6379: port }, mailer: {} } });
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

async function open(port: number): Promise<Socket> {
  const socket = await mixed.connect('rabbit', port);
  await says(socket, 'hello');
  return socket;
}

test.each([
  ['a rule about one of them', [NO_ADMIN], [], 'no-admin-ui'],
  ['one more service that a rule is about', [NO_BATCH], ['mailer: { kind: worker, tags: [batch] }'], 'no-batch'],
] as const)(
  'a host that runs several services is denied by %s, within a second, and no other flow is cut',
  async (_, rules, services, rule) => {
    await mesh.apply(meshOf(rules.filter((each) => each !== NO_ADMIN)));
    const [denied, kept] = [await open(15_672), await open(5672)];
    const before = (await mesh.records('rabbit')).length;
    const ended = ending(denied).then((how) => [how, Date.now()] as const);
    const asked = Date.now();
    await mesh.apply(meshOf(rules, services));
    const [how, at] = await ended;
    expect(how).toBe('reset');
    expect(at - asked).toBeLessThan(1_000);
    await says(kept, 'still');

    const again = await mixed.connect('rabbit', 15_672);
    expect(await ending(again)).toBe('reset');
    kept.end();
    expect(await ending(kept)).toBe('closed');
    const records = (await mesh.recorded('rabbit', before + 3)).slice(before);
    const about = records.map(({ outcome, source, rule: by }) => `${outcome} ${source} ${by}`);
    expect(about).toEqual([`cut host:mixed ${rule}`, `denied host:mixed ${rule}`, 'closed host:mixed default']);
  },
);

test('who applies such a rule is told, and so is the host', async () => {
  await mesh.apply(meshOf([], [WORKER]));
  const { result } = await mesh.ask(adminService.apply, {
    // Nobody can tell who is of a worker that nothing is said of, whatever its agent may see.
    mesh: meshToWire(parseMeshFile('mesh.yaml', `network: ${NETWORK}\n${meshOf([NO_ADMIN], [WORKER])}`).mesh),
    terms: { wait: true },
  });
  expect(result?.warnings?.map(({ field, message }) => `${field}: ${message}`)).toEqual([
    expect.stringMatching(/^policies\[0\]: rule no-admin-ui denies every process of mixed that may be web, /),
  ]);
  expect(result?.hostReach).toMatchObject([
    { hosts: ['mixed'], hostCount: 1, to: ['rabbit:15672'], toCount: 1, verdict: 2, rule: 'no-admin-ui' },
  ]);
  const { problems } = await mixed.status();
  expect(problems).toContainEqual(
    expect.objectContaining({
      code: 'rules-inexact',
      message: expect.stringMatching(/^rule no-admin-ui denies every process/),
    }),
  );
  await mesh.apply(meshOf([]));
  expect((await mixed.status()).problems.map(({ code }) => code)).not.toContain('rules-inexact');
});
