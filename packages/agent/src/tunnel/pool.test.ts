import net from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { takePassed } from '../bytes/socket-listen.ts';
import type { Conduit } from '../words/conduit.ts';
import { collect, echo, openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { type BoundTunnels, createTunnels } from './create.ts';

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  const settings = { tick: 20, extraIdle: 60 };
  alice = await network.agent('alice', { settings });
  bob = await network.agent('bob', { settings });
});
afterEach(() => network.close());

/** Writes as fast as it may until it is stopped. */
function flood(conduit: Conduit): { stop(): void } {
  const block = Buffer.alloc(224 * 1024);
  let going = true;
  let room = true;
  const step = (): void => {
    while (going && room) room = conduit.write(block, true);
  };
  conduit.attach({
    data: () => undefined,
    end: () => undefined,
    drain: () => {
      room = true;
      setImmediate(step);
    },
    closed: () => {
      going = false;
    },
  });
  step();
  return {
    stop: () => {
      going = false;
      conduit.reset();
    },
  };
}

/** Takes connections and says nothing, as a host that is not there any more seems to. */
async function silentServer(): Promise<{ readonly endpoint: string; readonly connections: number } & AsyncDisposable> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    endpoint: `127.0.0.1:${address.port}`,
    get connections() {
      return sockets.length;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it('adds a tunnel beside a bulk copy, and closes it when it is idle', async () => {
  bob.stream = (inbound) => void collect(inbound.accept());
  const bulk = flood(await openStream(alice, 'bob'));
  await until(async () => {
    const small = await openStream(alice, 'bob');
    small.reset();
    return alice.tunnels.counters.open >= 2;
  });
  expect(alice.tunnels.counters.open).toBeLessThanOrEqual(4);
  bulk.stop();
  await until(() => alice.tunnels.counters.open === 1 && bob.tunnels.counters.open === 1);
  expect(await alice.tunnels.ping('bob', new Deadline(5000))).toBeGreaterThan(0);
  expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
});

it('puts UDP where it passes beside the tunnel, though one without carries less', async () => {
  const settings = { tick: 20, extraIdle: 60_000 };
  const gate = { open: false };
  const second: { tunnels?: BoundTunnels } = {};
  const take = (handle: object): boolean => {
    const taken = takePassed(handle);
    if (taken !== undefined) second.tunnels?.accept(taken.conduit, taken.remote);
    return true;
  };
  const carol = await network.agent('carol', { settings, elsewhere: { gate, take } });
  let there = 0;
  second.tunnels = await createTunnels({
    ...{
      listen: { host: '127.0.0.1', port: 0 },
      keys: { secretKey: carol.secretKey },
      network: 'test',
      listens: false,
    },
    directory: { peerById: () => alice.peer, peerByKey: () => alice.peer },
    inbound: {
      stream: (inbound) => {
        there += 1;
        echo(inbound.accept());
      },
      datagrams: () => {
        throw new Error('no datagrams here');
      },
    },
    ...{ logger: pino({ level: 'silent' }), signal: network.lifetime.signal },
  });
  carol.stream = (inbound) => void collect(inbound.accept());
  const heard = async (): Promise<void> => {
    const opened = await alice.tunnels.openDatagrams(...forged('carol', openRequest('udp')), new Deadline(5_000));
    if (!opened.opened) throw new Error('refused');
    const { conduit } = opened;
    await new Promise<void>((resolve) => {
      conduit.attach({ datagram: () => resolve(), closed: () => undefined });
      conduit.send(Buffer.from('ping'));
    });
    conduit.close();
  };
  await until(async () => (await alice.tunnels.lookAt('carol', true, new Deadline(5_000))).pathSize > 0);
  const bulk = flood(await openStream(alice, 'carol'));
  gate.open = true;
  await until(async () => {
    (await openStream(alice, 'carol')).reset();
    return there > 0;
  });
  for (let flow = 0; flow < 8; flow++) await heard();
  bulk.stop();
});

it('leaves its tunnels of now, or of later too, and what they carry goes on', async () => {
  const first = await openStream(alice, 'bob');
  bob.tunnels.leave(false);
  await until(async () => {
    (await openStream(alice, 'bob')).reset();
    return alice.tunnels.counters.open === 2;
  });
  const heard = new Promise<string>((resolve) =>
    first.attach({
      data: (piece) => resolve(String(piece)),
      end: () => undefined,
      drain: () => undefined,
      closed: (how) => resolve(how),
    }),
  );
  first.write(Buffer.from('still here'), true);
  expect(await heard).toBe('still here');
  bob.tunnels.leave(true);
  first.reset();
  await until(() => alice.tunnels.counters.open === 0 && bob.tunnels.counters.open === 0);
  // The next is left as soon as it is there.
  await openStream(alice, 'bob').then((stream) => stream.reset());
  await until(() => alice.tunnels.counters.open === 0 && bob.tunnels.counters.open === 0);
  // One that it dials itself takes the flow that it is for, and is left then.
  const own = await openStream(bob, 'alice');
  own.reset();
  await until(() => alice.tunnels.counters.open === 0 && bob.tunnels.counters.open === 0);
  // Until it stays again.
  bob.tunnels.leave(false);
  await openStream(alice, 'bob').then((stream) => stream.reset());
  await alice.tunnels.ping('bob', new Deadline(5_000));
  expect(alice.tunnels.counters.open).toBe(1);
});

it('leaves so many tunnels of a peer that others find room, however often and by whichever end', async () => {
  for (let turn = 0; turn < 40; turn++) {
    await openStream(alice, 'bob');
    (turn % 3 === 2 ? alice : bob).tunnels.leave(false);
    // Heard of by the other end.
    await alice.tunnels.ping('bob', new Deadline(5_000));
  }
  expect(alice.tunnels.counters.open).toBeGreaterThan(2);
  expect(alice.tunnels.counters.open).toBeLessThanOrEqual(6);
});

it('tells what passes to each peer, over tunnels that ended too', async () => {
  expect(alice.tunnels.peerTraffic()).toEqual([]);
  const stream = await openStream(alice, 'bob');
  const echoed = collect(stream, { endWithPeer: true });
  stream.write(Buffer.alloc(10_000), true);
  stream.end();
  expect(await echoed).toMatchObject({ bytes: 10_000 });
  await until(() => (alice.tunnels.peerTraffic()[0]?.roundTripUs ?? 0) > 0);
  const [before] = alice.tunnels.peerTraffic();
  expect(before).toMatchObject({ host: 'host-bob', tunnels: 1 });
  expect(before?.bytesSent).toBeGreaterThan(10_000);
  expect(before?.bytesReceived).toBeGreaterThan(10_000);
  await bob.tunnels.close();
  await until(() => alice.tunnels.peerTraffic()[0]?.tunnels === 0);
  const [after] = alice.tunnels.peerTraffic();
  expect(after).toMatchObject({ host: 'host-bob', roundTripUs: 0 });
  expect(after?.bytesSent).toBeGreaterThanOrEqual(before?.bytesSent ?? 0);
  expect(after?.bytesReceived).toBeGreaterThanOrEqual(before?.bytesReceived ?? 0);
});

it('keeps one of two when both sides dialled and both tidy up', async () => {
  const pings = [alice.tunnels.ping('bob', new Deadline(5000)), bob.tunnels.ping('alice', new Deadline(5000))];
  await Promise.all(pings);
  await until(() => alice.tunnels.counters.open === 1 && bob.tunnels.counters.open === 1);
  const streams = await Promise.all([openStream(alice, 'bob'), openStream(bob, 'alice')]);
  expect(alice.tunnels.counters.open).toBe(1);
  for (const stream of streams) stream.reset();
});

it('answers with a refusal, not a lost tunnel, when the inbound side of the peer fails', async () => {
  bob.stream = () => {
    throw new Error('a mistake in the agent');
  };
  const answer = await alice.tunnels.openStream(...forged('bob', openRequest()), new Deadline(5000));
  expect(answer).toMatchObject({ opened: false, refusal: { code: 'no-instance' } });
  expect(bob.log.some(({ event }) => event === 'inbound-failed')).toBe(true);
  expect([alice.tunnels.counters.open, bob.tunnels.counters.violations]).toEqual([1, 0]);
});

it('ends everything with its signal', async () => {
  bob.stream = (inbound) => void collect(inbound.accept());
  const outcome = collect(await openStream(alice, 'bob'));
  network.close();
  expect(await outcome).toMatchObject({ how: 'reset' });
  expect([alice.tunnels.counters.open, bob.tunnels.counters.open]).toEqual([0, 0]);
  await expect(alice.tunnels.ping('bob', new Deadline(5000))).rejects.toThrow();
});

it('promises nothing of a peer that could not be reached, and finds it when it is back though nobody calls', async () => {
  const { endpoints } = bob.peer;
  expect(alice.tunnels.promising('bob')).toBe(true);
  network.moveTo('bob', ['127.0.0.1:1']);
  await expect(openStream(alice, 'bob')).rejects.toThrow('no tunnel to host-bob');
  expect(alice.tunnels.promising('bob')).toBe(false);
  network.moveTo('bob', endpoints);
  await until(() => alice.tunnels.promising('bob'));
  expect(alice.tunnels.counters.open).toBe(1);
});

it('tells whom it does not reach, with what was tried, until there is a tunnel', async () => {
  const { endpoints } = bob.peer;
  network.moveTo('bob', ['127.0.0.1:1']);
  expect(alice.tunnels.unreached()).toEqual([]);
  await expect(openStream(alice, 'bob')).rejects.toThrow('no tunnel to host-bob');
  const [before] = alice.tunnels.unreached();
  expect(before).toMatchObject({
    ...{ host: 'host-bob', addresses: ['127.0.0.1:1'] },
    cause: 'no tunnel to host-bob: tried 127.0.0.1:1 (connection refused)',
  });
  // After a change it may be tried again at once, and is not reached for all that.
  alice.tunnels.recheckPeers();
  expect(alice.tunnels.unreached()[0]?.forMs).toBeGreaterThanOrEqual(before?.forMs ?? 0);
  network.moveTo('bob', endpoints);
  await alice.tunnels.ping('bob', new Deadline(5_000));
  expect(alice.tunnels.unreached()).toEqual([]);
});

it('gives up a dial to where a peer was, at once for all who wait, when it is known to be elsewhere', async () => {
  const { endpoints } = bob.peer;
  await using silent = await silentServer();
  network.moveTo('bob', [silent.endpoint]);
  const calls = Promise.all([openStream(alice, 'bob'), alice.tunnels.ping('bob', new Deadline(5_000))]);
  await until(() => silent.connections > 0);
  const moved = performance.now();
  network.moveTo('bob', endpoints);
  alice.tunnels.recheckPeers();
  await calls;
  expect(performance.now() - moved).toBeLessThan(1_000);
  expect(alice.tunnels.counters).toMatchObject({ open: 1, handshakesFailed: 0 });
  expect(alice.log.filter(({ event }) => event === 'tunnel-dial-failed')).toEqual([]);
});

it('goes on with a dial under way where a peer has only lost an endpoint', async () => {
  await using silent = await silentServer();
  network.moveTo('bob', [silent.endpoint, '127.0.0.1:1']);
  const call = alice.tunnels.ping('bob', new Deadline(400));
  await until(() => silent.connections > 0);
  network.moveTo('bob', [silent.endpoint]);
  alice.tunnels.recheckPeers();
  await expect(call).rejects.toThrow();
  expect(silent.connections).toBe(1);
});

it('puts no call into a tunnel that a peer may have left until it answers there', async () => {
  const caller = await network.agent('caller');
  const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port } });
  const { endpoints } = bob.peer;
  network.moveTo('bob', [`127.0.0.1:${relay.port}`]);
  await caller.tunnels.ping('bob', new Deadline(5_000));
  relay.stall();
  network.moveTo('bob', endpoints);
  caller.tunnels.recheckPeers();
  const moved = performance.now();
  await openStream(caller, 'bob');
  expect(performance.now() - moved).toBeLessThan(1_000);
  expect(caller.tunnels.counters.open).toBe(2);
  relay.close();
});
