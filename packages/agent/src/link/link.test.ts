import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import {
  CONTROL_RANGE,
  type FlowRecord,
  itemKey,
  type JoinToken,
  type NetmapDelta,
  type NetmapItem,
  type PairTraffic,
  type Report,
} from '@weft/proto';
import {
  type AgentHandlers,
  deltaToWire,
  encodeItem,
  helloMessage,
  inventoryFromWire,
  itemDigest,
  joinProofMessage,
  type pb,
  reportFromWire,
  telemetryFromWire,
} from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { FlowRecorder } from '../flows/recorder.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { loadIdentity, type Membership, makeKeys } from '../member/identity.ts';
import { join as joinNetwork } from '../member/join.ts';
import { keepRevoked, openMembership } from '../member/membership.ts';
import { NetmapStore } from '../netmap/store.ts';
import { AgentTelemetry } from '../observe/telemetry.ts';
import { ENFORCEMENT } from '../run/enforce.ts';
import { runLink } from './link.ts';
import { ReportSender } from './report-sender.ts';

const logger = pino({ level: 'silent' });
const controls: FakeControl[] = [];
let stop: AbortController;
let directory: string;
beforeEach(async () => {
  stop = new AbortController();
  directory = await mkdtemp(join(tmpdir(), 'weft-link-'));
});
afterEach(async () => {
  stop.abort();
  for (const control of controls.splice(0)) control.close();
  await rm(directory, { recursive: true });
});

async function serve(agent: Partial<AgentHandlers>, keys = makeTestKeys(), port = 0): Promise<FakeControl> {
  const control = await startFakeControl({ agent, keys, port });
  controls.push(control);
  return control;
}

function tokenFor(control: FakeControl, addresses = [control.address]): JoinToken {
  return { addresses, pin: control.pin, id: 'tk1', secret: 's'.repeat(43) };
}

describe('joining', () => {
  const attempt = { fallbackHost: 'build-3', services: ['redis'], roles: [], version: '0.1.0' };
  const granting = (seen: pb.JoinRequest[]): Partial<AgentHandlers> => ({
    join: (call, answer) => {
      seen.push(call.request);
      if (call.request.host === '') {
        answer({ code: status.INVALID_ARGUMENT, details: 'host: the token names no host and none was asked for' });
      } else answer(null, { agentId: 'a1', network: 'prod', host: call.request.host });
    },
  });

  test('proves its keys, and names itself only when the token does not', async () => {
    const seen: pb.JoinRequest[] = [];
    const control = await serve(granting(seen));
    const keys = makeKeys();
    const membership = await joinNetwork({ ...attempt, token: tokenFor(control), keys }, stop.signal);
    expect(membership).toMatchObject({ agentId: 'a1', network: 'prod', host: 'build-3', revoked: false });
    expect(seen.map(({ host }) => host)).toEqual(['', 'build-3']);
    const { identityKey, tunnelKey, proof, tokenId, services } = seen[1] as pb.JoinRequest;
    expect(services).toEqual(['redis']);
    const signed = joinProofMessage(tokenId, new Uint8Array(identityKey), new Uint8Array(tunnelKey));
    expect(nacl.sign.detached.verify(signed, new Uint8Array(proof), keys.identity.publicKey)).toBe(true);
  });

  test('takes the next free name where other agents of the host have the first', async () => {
    const taken = new Set(['build-3', 'build-3-2']);
    const control = await serve({
      join: (call, answer) => {
        const { host } = call.request;
        if (host === '') answer({ code: status.INVALID_ARGUMENT, details: 'host: the token names no host' });
        else if (taken.has(host)) answer({ code: status.ALREADY_EXISTS, details: `host ${host} has this name` });
        else answer(null, { agentId: 'a1', network: 'prod', host });
      },
    });
    const request = { ...attempt, token: tokenFor(control), keys: makeKeys() };
    expect((await joinNetwork(request, stop.signal)).host).toBe('build-3-3');
    for (let ordinal = 3; ordinal <= 9; ordinal += 1) taken.add(`build-3-${ordinal}`);
    expect((await joinNetwork(request, stop.signal)).host).toMatch(/^build-3-[0-9a-f]{8}$/);
  });

  test('a name that the token gives is not exchanged for another', async () => {
    const seen: string[] = [];
    const control = await serve({
      join: (call, answer) => {
        seen.push(call.request.host);
        answer({ code: status.ALREADY_EXISTS, details: 'host db-1 has this name or key' });
      },
    });
    const request = { ...attempt, token: tokenFor(control), keys: makeKeys() };
    await expect(joinNetwork(request, stop.signal)).rejects.toMatchObject({ code: 'join-refused' });
    expect(seen).toEqual(['']);
  });

  test('tries the next address when one does not answer', async () => {
    const control = await serve(granting([]));
    const token = tokenFor(control, ['127.0.0.1:1', control.address]);
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).resolves.toMatchObject({
      agentId: 'a1',
    });
  });

  test('sends nothing to a control with another key', async () => {
    const seen: pb.JoinRequest[] = [];
    const control = await serve(granting(seen));
    const token = { ...tokenFor(control), pin: new Uint8Array(32).fill(1) };
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'token-wrong',
      message: expect.stringContaining('expected the control that made the token'),
    });
    expect(seen).toEqual([]);
  });

  test('names every address when none answers', async () => {
    const control = await serve({});
    const token = tokenFor(control, ['127.0.0.1:1', '127.0.0.1:2']);
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'control-unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:1.*127\.0\.0\.1:2/),
    });
  });

  test("passes on control's refusal, and keeps the keys for another try", async () => {
    let answers = 0;
    const control = await serve({
      join: (call, answer) => {
        answers += 1;
        if (answers === 1) answer({ code: status.PERMISSION_DENIED, details: 'the token allows no service redis' });
        else answer(null, { agentId: 'a1', network: 'prod', host: call.request.host || 'named' });
      },
    });
    const request = { ...attempt, directory, token: tokenFor(control), logger };
    await expect(openMembership(request, stop.signal)).rejects.toMatchObject({
      code: 'join-refused',
      message: expect.stringContaining('refused to let this host join: the token allows no service redis'),
    });
    const kept = await loadIdentity(directory);
    expect(kept?.membership).toBeUndefined();
    const member = await openMembership(request, stop.signal);
    expect(member.keys).toEqual(kept?.keys);
    expect(member.membership.host).toBe('named');
    // From here on neither token nor control is needed.
    for (const control of controls.splice(0)) control.close();
    expect(await openMembership({ ...request, token: undefined }, stop.signal)).toEqual(member);
    expect(await openMembership(request, stop.signal)).toEqual(member);
    // Another control's token does not belong here.
    const foreign = { ...request.token, pin: new Uint8Array(32) };
    await expect(openMembership({ ...request, token: foreign }, stop.signal)).rejects.toMatchObject({
      code: 'token-wrong',
    });
    // A revoked agent comes back as a new one, with a new token only.
    await keepRevoked(directory, member, true);
    expect((await openMembership({ ...request, token: undefined }, stop.signal)).membership.revoked).toBe(true);
  });

  test('a first start needs a token', async () => {
    const request = { ...attempt, directory, token: undefined, logger };
    await expect(openMembership(request, stop.signal)).rejects.toMatchObject({ code: 'token-missing' });
  });

  test('leaves no token in the directory', async () => {
    const control = await serve(granting([]));
    const token = tokenFor(control);
    await openMembership({ ...attempt, directory, token, logger }, stop.signal);
    expect(await readFile(join(directory, 'identity.json'), 'utf8')).not.toContain(token.secret);
  });
});

/** The far end of a link, step by step. */
class Stream {
  readonly call: ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>;
  readonly #received: pb.AgentMessage[] = [];
  #wake: () => void = () => {};

  constructor(call: ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>) {
    this.call = call;
    call.on('data', (message: pb.AgentMessage) => {
      this.#received.push(message);
      this.#wake();
    });
    call.on('error', () => {});
    call.on('end', () => call.end());
  }

  /** What came and was not asked for. */
  get left(): readonly pb.AgentMessage[] {
    return this.#received;
  }

  /** The next message of a sort; others that come before it are passed over. */
  async next<Name extends keyof pb.AgentMessage>(name: Name): Promise<NonNullable<pb.AgentMessage[Name]>> {
    for (;;) {
      const message = this.#received.shift();
      const found = message?.[name];
      if (found) return found;
      if (message === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  send(message: pb.Outgoing<pb.ControlMessage>): void {
    this.call.write(message);
  }

  delta(fields: Partial<NetmapDelta>): void {
    const delta = {
      timeline: 't1',
      previous: 0,
      index: 1,
      revision: 1,
      snapshot: false,
      upserts: [],
      removals: [],
      ...fields,
    };
    this.send({ delta: deltaToWire(delta) });
  }

  /** What the agent says of itself, from the challenge on. */
  async hello(nonce = new Uint8Array(32).fill(5), acknowledgesFlows = false): Promise<pb.Hello & pb.Standing> {
    this.send({ challenge: { nonce, acknowledgesFlows } });
    const hello = await this.next('hello');
    this.send({ welcome: {} });
    const { agentId, signature, version } = hello;
    // What was left out of a message stands in its prototype.
    return Object.assign(Object.create(await this.next('standing')), { agentId, signature, version });
  }
}

class Streams {
  readonly #waiting: ((stream: Stream) => void)[] = [];
  readonly #come: Stream[] = [];

  readonly handlers: Partial<AgentHandlers> = {
    connect: (call) => {
      const stream = new Stream(call);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#come.push(stream);
      else waiting(stream);
    },
  };

  next(): Promise<Stream> {
    const stream = this.#come.shift();
    return stream === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(stream);
  }
}

const self: NetmapItem = {
  type: 'self',
  agentId: 'a1',
  network: 'prod',
  host: 'build-3',
  tags: [],
  address: CONTROL_RANGE.base + 3,
  services: [],
  roles: [],
};
const policy: NetmapItem = { type: 'policy', defaultAction: 'allow', rules: [] };

const flow: FlowRecord = {
  id: '0123456789abcdef',
  startedMs: 1,
  durationMs: 5,
  source: 'web',
  sourceHost: 'build-3',
  service: 'redis',
  instance: 'redis/0',
  destinationHost: 'build-4',
  port: 6379,
  protocol: 'tcp',
  verdict: 'allow',
  rule: 'default',
  revision: 4,
  outcome: 'closed',
  bytesSent: 1,
  bytesReceived: 2,
  detail: '',
};

function setUp(control: FakeControl, telemetryMs = 60_000) {
  const keys = makeKeys();
  const membership: Membership = {
    agentId: 'a1',
    network: 'prod',
    host: 'build-3',
    controlAddresses: [control.address],
    pin: control.pin,
    revoked: false,
  };
  const store = new NetmapStore(CONTROL_RANGE, undefined, 1_000, ENFORCEMENT);
  const state = { tunnels: 0 };
  const reporter = new ReportSender(
    (): Report => ({
      endpoints: [],
      tunnelPort: 7410,
      instances: [],
      gatewayAddress: '',
      problems: [],
      flows: 0,
      ...state,
    }),
  );
  const flows = new FlowRecorder();
  const traffic = new FlowTraffic();
  const telemetry = new AgentTelemetry({
    traffic,
    host: () => 'build-3',
    queued: () => flows.counters.queued,
    pulses: () => Promise.resolve([]),
    settings: { everyMs: telemetryMs },
    now: () => 9_000,
    random: () => 0.5,
  });
  const events: string[] = [];
  const link = runLink(
    {
      keys,
      membership,
      store,
      reporter,
      flows,
      telemetry,
      trace: (agentId, signal) => {
        if (agentId === 'a2') return Promise.resolve(250);
        if (agentId === 'a3') return Promise.reject(new Error('no route\nto a3'));
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      version: '0.1.0',
      logger,
      limits: { minimumMs: 1, maximumMs: 5, revokedMs: 5 },
      random: () => 0.5,
      now: () => 9_000,
      connected: () => events.push('connected'),
      disconnected: () => events.push('disconnected'),
      revoked: async (reason) => {
        events.push(`revoked: ${reason}`);
        store.clear();
      },
    },
    stop.signal,
  );
  return { keys, membership, store, reporter, flows, traffic, events, link, state };
}

describe('the link', () => {
  test('says hello, enforces, and acknowledges only then', async () => {
    const streams = new Streams();
    const control = await serve(streams.handlers);
    const { keys, membership, store, events } = setUp(control);
    const enforced: number[] = [];
    store.subscribe('flows', (next) => enforced.push(next.revision));
    const stream = await streams.next();
    const nonce = new Uint8Array(32).fill(9);
    const hello = await stream.hello(nonce);
    expect(hello).toMatchObject({ agentId: 'a1', timeline: '', index: 0, inventory: [] });
    expect(reportFromWire(hello.report)).toMatchObject({ tunnelPort: 7410 });
    const signed = helloMessage(nonce, membership.pin, 'a1');
    expect(nacl.sign.detached.verify(signed, new Uint8Array(hello.signature), keys.identity.publicKey)).toBe(true);

    stream.delta({ snapshot: true, index: 4, revision: 7, upserts: [self, policy] });
    expect(await stream.next('ack')).toMatchObject({ timeline: 't1', index: 4, revision: 7 });
    expect(enforced).toEqual([7]);
    expect(store.current.self?.host).toBe('build-3');
    expect({ stale: store.staleSinceMs, events }).toEqual({ stale: undefined, events: ['connected'] });

    // A revision that does not touch this agent is acknowledged too.
    stream.delta({ previous: 4, index: 5, revision: 8 });
    expect(await stream.next('ack')).toMatchObject({ index: 5, revision: 8 });
  });

  test('acknowledges what has followers when they enforce it too, in its order', async () => {
    const streams = new Streams();
    const { store, events } = setUp(await serve(streams.handlers));
    const elsewhere: PromiseWithResolvers<void>[] = [];
    const followed: number[] = [];
    store.follow((change) => {
      followed.push(change.revision);
      const enforced = Promise.withResolvers<void>();
      elsewhere.push(enforced);
      return enforced.promise;
    });
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, revision: 3, upserts: [self, policy] });
    stream.delta({ previous: 1, index: 2, revision: 4 });
    await expect.poll(() => followed).toEqual([3, 4]);
    expect(store.current.revision).toBe(4);
    // An answer to what was asked last shows that nothing was acknowledged before.
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    await stream.next('trace');
    expect(events).toEqual([]);
    for (const { resolve } of elsewhere) resolve();
    expect(await stream.next('ack')).toMatchObject({ index: 1, revision: 3 });
    expect(await stream.next('ack')).toMatchObject({ index: 2, revision: 4 });
    expect(events).toEqual(['connected']);
  });

  test('does not acknowledge what a follower failed to enforce, and has control say it again', async () => {
    const streams = new Streams();
    const { store } = setUp(await serve(streams.handlers));
    let fails: boolean = true;
    store.follow(() => (fails ? Promise.reject(new Error('a flow would not end')) : Promise.resolve()));
    const first = await streams.next();
    await first.hello();
    first.delta({ snapshot: true, index: 1, revision: 3, upserts: [self, policy] });
    const second = await streams.next();
    fails = false;
    expect(await second.hello()).toMatchObject({ timeline: 't1', index: 1 });
    second.delta({ previous: 1, index: 1, revision: 3 });
    expect(await second.next('ack')).toMatchObject({ index: 1, revision: 3 });
    expect(first.left.some((message) => message.ack)).toBe(false);
  });

  test('sees a gap, keeps what it has, and asks for all of it once', async () => {
    const streams = new Streams();
    const { store } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    await stream.next('ack');
    stream.delta({ previous: 2, index: 3, removals: ['self'] });
    expect((await stream.next('resync')).reason).toContain('holds 1 of t1');
    expect(store.current.self).toBeDefined();
    stream.delta({ previous: 3, index: 4, removals: ['self'] });
    stream.delta({ snapshot: true, index: 5, revision: 2, upserts: [self] });
    // Were the second gap answered too, its resync would stand before this acknowledgement.
    expect(await stream.next('ack')).toMatchObject({ index: 5, revision: 2 });
  });

  test('comes back after a break with its inventory, and takes what differs from a restarted control', async () => {
    const streams = new Streams();
    const keys = makeTestKeys();
    const control = await serve(streams.handlers, keys);
    const { store, events } = setUp(control);
    const first = await streams.next();
    await first.hello();
    first.delta({ snapshot: true, index: 3, revision: 2, upserts: [self, policy] });
    await first.next('ack');
    control.close();
    await serve(streams.handlers, keys, Number(control.address.split(':')[1]));
    const second = await streams.next();
    expect(store.staleSinceMs).toBe(9_000);
    const hello = await second.hello();
    expect(hello).toMatchObject({ timeline: 't1', index: 3 });
    expect(inventoryFromWire(hello.inventory)).toEqual(
      new Map([self, policy].map((item) => [itemKey(item), itemDigest(encodeItem(item))])),
    );
    const changed: NetmapItem = { ...policy, defaultAction: 'deny' };
    second.delta({ timeline: 't2', previous: 3, index: 4, revision: 3, upserts: [changed] });
    expect(await second.next('ack')).toMatchObject({ timeline: 't2', index: 4 });
    expect(store.current).toMatchObject({ revision: 3, self: { host: 'build-3' } });
    expect(store.staleSinceMs).toBeUndefined();
    expect(events[0]).toBe('connected');
    expect(events.at(-1)).toBe('connected');
    expect(events).toContain('disconnected');
  });

  test('leaves out one bad item and enforces the rest', async () => {
    const streams = new Streams();
    const { store } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    const wire = deltaToWire({
      timeline: 't1',
      previous: 0,
      index: 1,
      revision: 1,
      snapshot: true,
      upserts: [self, policy],
      removals: [],
    });
    stream.send({
      delta: {
        ...wire,
        upserts: [...wire.upserts, { key: 'service/x', service: { service: { name: 'x', kind: 9 } } }],
      },
    });
    await stream.next('ack');
    expect(store.current.self).toBeDefined();
    expect(store.current.services.size).toBe(0);
  });

  test('forgets everything when it is revoked, and asks again', async () => {
    const streams = new Streams();
    const { store, events } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    await stream.next('ack');
    stream.send({ revoked: { reason: 'by an operator' } });
    const again = await streams.next();
    expect(events).toEqual(['connected', 'revoked: by an operator']);
    expect(store.current.self).toBeUndefined();
    expect((await again.hello()).inventory).toEqual([]);
  });

  test('reports what changed, and not what did not', async () => {
    const streams = new Streams();
    const { reporter, state } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    reporter.changed();
    state.tunnels = 2;
    reporter.changed();
    expect(reportFromWire(await stream.next('report')).tunnels).toBe(2);
  });

  test('sends ended flows, also those from before it was connected', async () => {
    const streams = new Streams();
    const { flows } = setUp(await serve(streams.handlers));
    flows.record(flow);
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    expect((await stream.next('flows')).records).toHaveLength(1);
    flows.record({ ...flow, detail: 'two\nlines' });
    expect((await stream.next('flows')).records[0]?.detail).toBe('two lines');
  });

  test('sends again what control never said it took, and nothing that it did', async () => {
    const streams = new Streams();
    const { flows } = setUp(await serve(streams.handlers));
    const numbered = (count: number) => ({ ...flow, id: count.toString(16).padStart(16, '0') });
    const first = await streams.next();
    await first.hello(new Uint8Array(32), true);
    first.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    const ids: string[] = [];
    for (let batch = 1; batch <= 3; batch++) {
      flows.record(numbered(batch));
      const { records, sequence } = await first.next('flows');
      expect(sequence).toBe(batch);
      ids.push(...records.map(({ id }) => id));
    }
    expect(ids).toEqual([1, 2, 3].map((count) => numbered(count).id));
    first.send({ flowsTaken: { sequence: 1 } });
    // Answered in order: once this is, the word before it was heard.
    first.send({ trace: { id: 1, agentId: 'a2' } });
    await first.next('trace');
    first.call.emit('error', Object.assign(new Error('gone'), { code: status.UNAVAILABLE }));
    const second = await streams.next();
    await second.hello(new Uint8Array(32), true);
    second.delta({ index: 1, previous: 1 });
    const again = await second.next('flows');
    expect(again.records.map(({ id }) => id)).toEqual([numbered(2).id, numbered(3).id]);
    expect(again).toMatchObject({ sequence: 1, dropped: 0 });
    expect(flows.counters).toMatchObject({ recorded: 3, dropped: 0 });
  });

  test('waits for a control that takes no batches', async () => {
    const streams = new Streams();
    const { flows } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello(new Uint8Array(32), true);
    for (let count = 0; count < 6_000; count++) flows.record(flow);
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    for (let batch = 1; batch <= 4; batch++) expect((await stream.next('flows')).records).toHaveLength(1_000);
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    await stream.next('trace');
    expect(flows.counters.queued).toBe(2_000);
    stream.send({ flowsTaken: { sequence: 2 } });
    expect(await stream.next('flows')).toMatchObject({ sequence: 5 });
    expect(await stream.next('flows')).toMatchObject({ sequence: 6 });
  });

  test('tells what moves at once, then every while, each count once', async () => {
    const streams = new Streams();
    const { traffic } = setUp(await serve(streams.handlers), 1);
    const names = { source: 'web', sourceHost: 'build-3', service: 'redis', destinationHost: 'build-3' };
    const denied = { port: 6379, protocol: 'tcp', rule: 'no-web', revision: 4 } as const;
    for (let count = 0; count < 3; count++) traffic.stillborn(names, 'source', true, 'denied', denied);
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    const first = telemetryFromWire(await stream.next('telemetry'));
    expect(first).toMatchObject({ sentMs: 9_000, pairs: [{ ...names, denied: 3, lastDenied: denied }], peers: [] });
    expect(telemetryFromWire(await stream.next('telemetry')).pairs).toEqual([]);
    traffic.stillborn(names, 'source', true, 'no-instance', denied);
    let told: readonly PairTraffic[] = [];
    while (told.length === 0) told = telemetryFromWire(await stream.next('telemetry')).pairs;
    expect(told).toMatchObject([{ opened: 1, failed: 1, denied: 0 }]);
  });

  test('tries a path when control asks', async () => {
    const streams = new Streams();
    setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    expect(await stream.next('trace')).toMatchObject({ id: 1, reachable: true, roundTripUs: 250 });
    stream.send({ trace: { id: 2, agentId: 'a3' } });
    expect(await stream.next('trace')).toMatchObject({ id: 2, reachable: false, detail: 'no route to a3' });
    // Control gives up after 3 s, and would then know nothing.
    stream.send({ trace: { id: 3, agentId: 'silent' } });
    expect(await stream.next('trace')).toMatchObject({ id: 3, reachable: false, detail: 'no answer within 2500 ms' });
  });

  test('ends a session that breaks the order, and begins another', async () => {
    const streams = new Streams();
    const { store } = setUp(await serve(streams.handlers));
    (await streams.next()).delta({ snapshot: true, upserts: [self] });
    const second = await streams.next();
    expect(store.current.self).toBeUndefined();
    second.send({ challenge: { nonce: new Uint8Array(3) } });
    await streams.next();
  });

  test('sends the flows that are left before it ends', async () => {
    const streams = new Streams();
    const { flows, link } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    await stream.next('ack');
    for (let count = 0; count < 1_500; count++) flows.record(flow);
    stop.abort();
    const first = await stream.next('flows');
    const second = await stream.next('flows');
    expect(first.records.length + second.records.length).toBe(1_500);
    await link;
  });

  test('ends with its signal', async () => {
    const streams = new Streams();
    const { link } = setUp(await serve(streams.handlers));
    await (await streams.next()).hello();
    stop.abort();
    await link;
  });
});
