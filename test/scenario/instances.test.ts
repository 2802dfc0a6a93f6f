import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh } from './mesh.ts';
import { ending, hears, named, says, type TcpProgram } from './programs.ts';

const MESH = `
services:
  turns: { kind: private, ports: [9000] }
  fragile: { kind: private, ports: [9000] }
  mortal: { kind: private, ports: [9000] }
  orderly: { kind: private, ports: [9000] }
  severed: { kind: private, ports: [9000] }
  dark: { kind: private, ports: [9000] }
`;
/** What a program is promised when nothing can be reached. */
const PROMISED_MS = 5_000;

let mesh: Mesh;
let near: Agent;
const programs: TcpProgram[] = [];

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  near = await mesh.agent('near');
});
afterAll(async () => {
  await mesh.close();
  await Promise.all(programs.map((program) => program.stop()));
});

/** The service on this many hosts, each with a program that gives its host's name. */
async function hosts(service: string, count: number): Promise<{ agent: Agent; program: TcpProgram }[]> {
  const made = [];
  for (let index = 0; index < count; index++) {
    const program = await named(`${service}-${index}`);
    programs.push(program);
    const services = { [service]: { 9000: program.port } };
    const agent = await mesh.agent(`${service}-${index}`, { services, relay: {}, controlRelay: true });
    made.push({ agent, program });
  }
  return made;
}

/** Who answers, or undefined for a reset; fails when neither comes in the time that is promised. */
async function asks(vip: string): Promise<string | undefined> {
  const started = performance.now();
  const client = await connect(vip, 9000);
  const answer = await hears(client).then(
    (words) => words.trim(),
    () => undefined,
  );
  expect(performance.now() - started).toBeLessThan(PROMISED_MS);
  client.resetAndDestroy();
  return answer;
}

/** A live connection, and where it got to. */
async function live(vip: string) {
  const client = await connect(vip, 9000);
  const host = (await hears(client)).trim();
  await says(client, 'on');
  return { client, host };
}

test('calls go round', async () => {
  await hosts('turns', 3);
  const vip = await near.vip('turns', 3);
  const answers: (string | undefined)[] = [];
  for (let call = 0; call < 9; call++) answers.push(await asks(vip));
  expect(answers.slice(3)).toEqual(answers.slice(0, 6));
  expect(new Set(answers)).toEqual(new Set(['turns-0', 'turns-1', 'turns-2']));
  const records = await mesh.recorded('turns', 9);
  // Each destination tells of its own when it has some to tell, so that theirs come in no order between them.
  const byHost = Map.groupBy(records, ({ destinationHost }) => destinationHost);
  expect(Object.fromEntries([...byHost].map(([host, { length }]) => [host, length]))).toEqual({
    'turns-0': 3,
    'turns-1': 3,
    'turns-2': 3,
  });
});

test('a program that stops: its flows are reset, new ones go elsewhere at once, and none is left in the end', async () => {
  const both = await hosts('fragile', 2);
  const vip = await near.vip('fragile', 2);
  const { client, host } = await live(vip);
  const dying = both.find(({ agent }) => agent.host === host);
  const other = both.find(({ agent }) => agent.host !== host);
  const ended = ending(client);
  await dying?.program.stop();
  expect(await ended).toBe('reset');
  // Control and near still hold it for healthy: the call finds out by itself.
  for (let call = 0; call < 4; call++) expect(await asks(vip)).toBe(other?.agent.host);
  await near.vip('fragile', 1);
  await other?.program.stop();
  expect(await asks(vip)).toBeUndefined();
  await near.vip('fragile', 0);
  expect(await asks(vip)).toBeUndefined();
  const records = await mesh.recorded('fragile', 7);
  expect(records.map(({ outcome }) => outcome)).toEqual([...Array(5).fill('reset'), 'not-listening', 'not-listening']);
  // None is well any more, and each of their agents knows where it tried.
  expect(records[6]).toMatchObject({
    verdict: 'allow',
    sourceHost: 'near',
    detail: expect.stringMatching(
      /^fragile\/\d on fragile-\d: fragile 9000 → 127\.0\.0\.1:\d+: connection refused; 2 instances were tried$/,
    ),
  });
});

test('an agent that is stopped: its flows are reset, new ones go elsewhere', async () => {
  const both = await hosts('orderly', 2);
  const vip = await near.vip('orderly', 2);
  const { client, host } = await live(vip);
  const ended = ending(client);
  await both.find(({ agent }) => agent.host === host)?.agent.stop();
  expect(await ended).toBe('reset');
  const other = both.find(({ agent }) => agent.host !== host)?.agent.host;
  for (let call = 0; call < 4; call++) expect(await asks(vip)).toBe(other);
  expect((await mesh.recorded('orderly', 5))[0]).toMatchObject({ outcome: 'cut', detail: 'the agent stops' });
});

test('a host that is gone: its flows are reset, new ones go elsewhere, and none is reached in the end', async () => {
  const both = await hosts('mortal', 2);
  const vip = await near.vip('mortal', 2);
  const { client, host } = await live(vip);
  const ended = ending(client);
  both.find(({ agent }) => agent.host === host)?.agent.vanish();
  expect(await ended).toBe('reset');
  // The host that had the flow will never tell of it, so the caller's does.
  await until(
    'a record of the flow that was lost with its host',
    () => mesh.records('mortal'),
    (records) => records.some(({ outcome, destinationHost }) => outcome === 'reset' && destinationHost === host),
  );
  const other = both.find(({ agent }) => agent.host !== host)?.agent;
  for (let call = 0; call < 4; call++) expect(await asks(vip)).toBe(other?.host);
  other?.vanish();
  await near.idle();
  expect(await asks(vip)).toBeUndefined();
  const own = await until(
    'a record by near',
    () => mesh.records('mortal'),
    (records) => records.some(({ outcome }) => outcome === 'unreachable'),
  );
  expect(own.at(-1)).toMatchObject({ outcome: 'unreachable', verdict: 'allow', source: 'host:near' });
});

test('a path that is cut in the middle: the flow is reset and recorded, and the next tunnel carries on', async () => {
  const [only] = await hosts('severed', 1);
  const vip = await near.vip('severed');
  const { client } = await live(vip);
  const ended = ending(client);
  only?.agent.relay.cut();
  expect(await ended).toBe('reset');
  expect(await asks(vip)).toBe('severed-0');
  expect(await mesh.recorded('severed', 2)).toMatchObject([{ outcome: 'reset', bytesSent: 2 }, { outcome: 'reset' }]);
});

test('a path that goes dark: calls find the other instance in time', async () => {
  const both = await hosts('dark', 2);
  const vip = await near.vip('dark', 2);
  // A tunnel to each, so that it is a live one that goes dark.
  await asks(vip);
  await asks(vip);
  both[0]?.agent.relay.stall();
  for (let call = 0; call < 3; call++) expect(await asks(vip)).toBe('dark-1');
  both[0]?.agent.relay.unstall();
  both[0]?.agent.relay.cut();
  await mesh.recorded('dark', 5);
});
