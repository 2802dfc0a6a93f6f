import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import { CONTROL_RANGE, type JoinToken, type NetmapItem, parseRange, TARGET_PROBLEM } from '@weft/proto';
import { type AgentHandlers, deltaToWire, type pb } from '@weft/proto/wire';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { parseAgentFile } from '../config/agent-file.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { type AgentOptions, runAgent } from './agent.ts';

/** A control that lets every host in and tells it of one service; a test can take its members back. */
class SmallControl {
  readonly #calls = new Set<ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>>();
  joins = 0;
  refused: boolean = false;
  revoked: boolean = false;
  ephemeral: boolean = false;
  /** Knows the first agent no more. */
  forgetful: boolean = false;

  readonly handlers: Partial<AgentHandlers> = {
    join: (_call, answer) => {
      this.joins += 1;
      if (this.refused) answer({ code: status.PERMISSION_DENIED, details: 'it was revoked after the token was made' });
      else answer(null, { agentId: `a${this.joins}`, network: 'prod', host: 'build-3', ephemeral: this.ephemeral });
    },
    connect: (call) => {
      let agentId = '';
      this.#calls.add(call);
      call.on('error', () => {});
      call.on('end', () => call.end());
      call.on('data', (message: pb.AgentMessage) => {
        if (message.standing) call.write({ delta: deltaToWire({ ...snapshot, upserts: items(agentId) }) });
        if (!message.hello) return;
        agentId = message.hello.agentId;
        if (this.revoked && agentId === 'a1') call.write({ revoked: { reason: 'by an operator' } });
        else if (this.forgetful && agentId === 'a1') call.write({ held: { reason: 'who are you?', unknown: true } });
        else call.write({ welcome: {} });
      });
      call.write({ challenge: { nonce: new Uint8Array(32) } });
    },
  };

  revokeFirst(): void {
    this.revoked = true;
    for (const call of this.#calls) call.write({ revoked: { reason: 'by an operator' } });
  }
}

const snapshot = { timeline: 't', previous: 0, index: 1, revision: 7, snapshot: true, removals: [] };

function items(agentId: string): NetmapItem[] {
  const self = { agentId, network: 'prod', host: 'build-3', tags: [], services: ['echo'], roles: [] } as const;
  const ports = [{ protocol: 'tcp', first: 47_113, last: 47_113 }] as const;
  return [
    { type: 'self', ...self, address: CONTROL_RANGE.base + 3, controlAddresses: [] },
    { type: 'service', service: { name: 'echo', kind: 'private', ports, tags: [] }, address: CONTROL_RANGE.base + 7 },
    { type: 'policy', defaultAction: 'allow', rules: [] },
  ];
}

let directory: string;
let control: FakeControl;
let small: SmallControl;
let token: JoinToken;
const stops: AbortController[] = [];
const runs: Promise<void>[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-agent-'));
  small = new SmallControl();
  control = await startFakeControl({ agent: small.handlers });
  token = { addresses: [control.address], pin: control.pin, id: 'tk1', secret: 's'.repeat(43) };
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort();
  await Promise.all(runs.splice(0));
  control.close();
  await rm(directory, { recursive: true });
});

/** Starts an agent and answers once it says that it is ready; `next` answers the sentence after that. */
async function start(overrides: Partial<AgentOptions> = {}) {
  const stop = new AbortController();
  const range = parseRange(`127.${randomInt(96, 250)}.${randomInt(0, 255)}.0/24`) ?? CONTROL_RANGE;
  const sentences: string[] = [];
  let wake: () => void = () => {};
  const options: AgentOptions = {
    directory,
    token: undefined,
    file: parseAgentFile('weft.yaml', 'services: { echo: }'),
    tunnel: { host: '127.0.0.1', port: 0 },
    advertise: undefined,
    dns: { host: '127.0.0.1', port: 0 },
    range,
    fallbackHost: 'build-3',
    logger: pino({ level: 'silent' }),
    ready: (sentence) => {
      sentences.push(sentence);
      wake();
    },
    ...overrides,
  };
  const run = runAgent(options, stop.signal);
  stops.push(stop);
  runs.push(run.catch(() => {}));
  const next = async (): Promise<string> => {
    if (sentences.length === 0) {
      const ready = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([ready, run]);
    }
    return sentences.shift() ?? 'stopped';
  };
  return { sentence: await next(), next, stop, run };
}

test('joins, serves names, tells how it fares, and stops in order', async () => {
  const agent = await start({ token });
  expect(agent.sentence).toMatch(/^host build-3 in network prod, 1 services, dns 127\.0\.0\.1:\d+$/);
  const told = await readLocalStatus(directory);
  expect(told).toMatchObject({
    state: 'connected',
    staleSince: null,
    revision: 7,
    agentId: 'a1',
    names: [{ name: 'echo.internal', ports: ['47113'] }],
    instances: [{ service: 'echo', healthy: false }],
  });
  agent.stop.abort();
  await agent.run;
  expect(await readLocalStatus(directory)).toBeUndefined();
  expect(await readdir(directory)).toEqual(['agent.lock', 'identity.json', 'netmap.json']);
});

test('starts again without token and without control, from what it knew, and says since when', async () => {
  const before = Date.now();
  const first = await start({ token });
  first.stop.abort();
  await first.run;
  control.close();
  const second = await start();
  expect(second.sentence).toContain('host build-3 in network prod, 1 services');
  const told = await readLocalStatus(directory);
  expect(told).toMatchObject({ state: 'stale', revision: 7 });
  expect(Date.parse(told?.staleSince ?? '')).toBeGreaterThanOrEqual(before);
  expect(small.joins).toBe(1);
});

test('a second agent in the directory does not start', async () => {
  await start({ token });
  await expect(start()).rejects.toMatchObject({ code: 'already-running' });
});

test('a DNS port that is taken ends the start, and leaves nothing behind', async () => {
  const blocker: Server = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await expect(start({ token, dns: { host: '127.0.0.1', port } })).rejects.toMatchObject({
    code: 'listen-failed',
    message: expect.stringContaining('choose another with --dns'),
  });
  blocker.close();
  expect((await start()).sentence).toContain('build-3');
});

test('metrics are served where they are asked for; a port that is taken ends the start', async () => {
  const blocker: Server = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const metrics = { host: '127.0.0.1', port };
  await expect(start({ token, metrics })).rejects.toMatchObject({
    code: 'listen-failed',
    message: expect.stringContaining('choose another with --metrics'),
  });
  await new Promise((resolve) => blocker.close(resolve));
  const agent = await start({ metrics, workers: 2 });
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(text).toContain('weft_agent_policy_revision 7\n');
  expect(text).toContain('weft_agent_thread_flows{thread="1"} 0\n');
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  agent.stop.abort();
  await agent.run;
  await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow('fetch failed');
});

test('a target among the addresses it listens on itself ends the start', async () => {
  const range = parseRange('127.97.8.0/24') ?? CONTROL_RANGE;
  const file = (target: string) =>
    parseAgentFile('weft.yaml', `services: { echo: { targets: { 47113: "${target}" } } }`);
  await expect(start({ token, range, file: file('127.97.8.0:5000') })).rejects.toMatchObject({ code: 'target-loops' });
  await expect(start({ token, range, file: file('127.97.8.255:47113') })).rejects.toMatchObject({
    code: 'target-loops',
    message: expect.stringContaining('target 127.97.8.255:47113 of echo:47113 lies'),
  });
  expect((await start({ token, range, file: file('127.97.9.0:47113') })).sentence).toContain('build-3');
});

test('a UDP port beside the tunnels that is taken is a problem, and the rest works', async () => {
  // Free for TCP, as a tunnel's port has to be.
  const port = await freePort();
  const blocker = createSocket('udp4');
  await new Promise<void>((resolve) => blocker.bind(port, '127.0.0.1', resolve));
  await start({ token, tunnel: { host: '127.0.0.1', port } });
  const told = await readLocalStatus(directory);
  expect(told?.problems.filter(({ code }) => code !== TARGET_PROBLEM)).toMatchObject([
    { code: 'tunnel-udp', subject: `127.0.0.1:${port}/udp` },
  ]);
  blocker.close();
});

test('a revoked agent forgets the network, on disk too, and stays up', async () => {
  const first = await start({ token });
  first.stop.abort();
  await first.run;
  small.refused = true;
  await start();
  small.revokeFirst();
  await expect.poll(async () => (await readLocalStatus(directory))?.state).toBe('revoked');
  await expect.poll(async () => (await readLocalStatus(directory))?.problems[0]?.code).toBe('membership-revoked');
  expect(await readLocalStatus(directory)).toMatchObject({ names: [], revision: 0 });
  expect(await readdir(directory)).toEqual(['agent.lock', 'agent.sock', 'identity.json', 'run.sock']);
  expect(JSON.parse(await readFile(join(directory, 'identity.json'), 'utf8'))).toMatchObject({
    membership: { revoked: true },
  });
});

test.each(['revoked', 'young'])(
  'one that is %s and starts while control is away says what it waits for',
  async (which) => {
    const first = await start({ token });
    if (which === 'revoked') {
      small.refused = true;
      small.revokeFirst();
      await expect.poll(async () => (await readLocalStatus(directory))?.state).toBe('revoked');
    }
    first.stop.abort();
    await first.run;
    await rm(join(directory, 'netmap.json'), { force: true });
    control.close();
    const lines: { readonly event?: string; readonly msg?: string }[] = [];
    const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
    void start({ logger });
    await expect
      .poll(() => readLocalStatus(directory))
      .toMatchObject({ state: which === 'revoked' ? 'revoked' : 'stale' });
    const problem = async () => (await readLocalStatus(directory))?.problems[0];
    await expect.poll(problem).toEqual({
      code: which === 'revoked' ? 'membership-revoked' : 'no-netmap',
      subject: 'build-3',
      message: expect.stringContaining(which === 'revoked' ? 'no member of network prod' : 'waits for control'),
    });
    expect(lines).toContainEqual(expect.objectContaining({ event: 'problem', msg: (await problem())?.message }));
  },
);

test('an agent that control does not know keeps the network, on disk too, and says so', async () => {
  const first = await start({ token });
  first.stop.abort();
  await first.run;
  small.forgetful = true;
  await start({ token });
  await expect.poll(async () => (await readLocalStatus(directory))?.problems[0]?.code).toBe('held-off');
  expect(await readLocalStatus(directory)).toMatchObject({ state: 'stale', revision: 7, agentId: 'a1' });
  expect(await readdir(directory)).toContain('netmap.json');
  expect(small.joins).toBe(1);
});

test('one that is ephemeral joins again when control does not know it any more', async () => {
  small.ephemeral = true;
  const first = await start({ token });
  first.stop.abort();
  await first.run;
  small.forgetful = true;
  await start({ token });
  await expect.poll(async () => (await readLocalStatus(directory))?.agentId).toBe('a2');
});

test('joins again by itself while its token is good', async () => {
  const agent = await start({ token });
  small.revokeFirst();
  expect(await agent.next()).toContain('build-3');
  expect(small.joins).toBe(2);
  expect(await readLocalStatus(directory)).toMatchObject({ state: 'connected', agentId: 'a2' });
});
