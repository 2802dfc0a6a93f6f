/** A tunnel inside a stream of another: what a relay between two agents would carry. */
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { MuxStream } from '../protocol/mux/stream.ts';
import type { Conduit } from '../words/conduit.ts';
import { collect, exchange, openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import type { Connect } from './context.ts';

const networks: TestNetwork[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.close();
});

/** `alice` reaches `bob` by a stream that the relay's network carries, and by nothing else. */
async function nest(): Promise<{ alice: TestAgent; bob: TestAgent; near: TestAgent; streams: () => number }> {
  const [outer, inner] = [new TestNetwork(), new TestNetwork()];
  networks.push(inner, outer);
  const near = await outer.agent('near');
  const far = await outer.agent('far');
  const bob = await inner.agent('bob', { datagrams: false });
  let streams = 0;
  far.stream = (inbound) => {
    streams += 1;
    const conduit = inbound.accept();
    if (!(conduit instanceof MuxStream)) throw new Error('no stream of a tunnel');
    bob.tunnels.accept(conduit, { address: '203.0.113.1', port: 1 });
  };
  const connect: Connect = async (_endpoint, deadline) => {
    const opened = await near.tunnels.openStream(...forged('far', openRequest()), deadline);
    if (!opened.opened || !(opened.conduit instanceof MuxStream)) throw new Error('refused');
    return { conduit: opened.conduit, remote: { address: '203.0.113.2', port: 2 } };
  };
  const alice = await inner.agent('alice', { datagrams: false, connect });
  return { alice, bob, near, streams: () => streams };
}

describe('a tunnel over a stream of another', () => {
  it('carries bytes both ways, at once and in order, more than both windows hold', async () => {
    const { alice, streams } = await nest();
    const blocks = Array.from({ length: 40 }, (_, index) => randomBytes(index % 3 === 0 ? 7 : 300_000));
    const digest = createHash('sha256').update(Buffer.concat(blocks)).digest('hex');
    const outcomes = await Promise.all(
      Array.from({ length: 3 }, async () => exchange(await openStream(alice, 'bob'), blocks)),
    );
    for (const outcome of outcomes) expect(outcome).toMatchObject({ how: 'closed', digest });
    expect(streams()).toBeGreaterThan(0);
  });

  it('stops a writer whose reader does not read, and lets others pass', async () => {
    const { alice, bob } = await nest();
    const accepted = Promise.withResolvers<Conduit>();
    const { stream } = bob;
    bob.stream = (inbound) => accepted.resolve(inbound.accept());
    const slow = await openStream(alice, 'bob');
    await accepted.promise;
    slow.attach({ data: () => undefined, end: () => undefined, drain: () => undefined, closed: () => undefined });
    let written = 0;
    while (written < 64 << 20 && slow.write(Buffer.alloc(65_536), true)) written += 65_536;
    expect(written).toBeLessThan(64 << 20);
    bob.stream = stream;
    const quick = exchange(await openStream(alice, 'bob'), [Buffer.from('passes by')]);
    expect(await quick).toMatchObject({ how: 'closed', bytes: 9 });
    slow.reset();
  });

  it('is over for both ends when the outer one is cut, and is made again over the next', async () => {
    const { alice, bob, near, streams } = await nest();
    const conduit = await openStream(alice, 'bob');
    const ended = collect(conduit);
    networks[1]?.peers.delete('far');
    near.tunnels.recheckPeers();
    expect(await ended).toMatchObject({ how: 'reset' });
    await until(() => bob.tunnels.counters.open === 0 && alice.tunnels.counters.open === 0);
    await expect(alice.tunnels.ping('bob', new Deadline(5_000))).rejects.toThrow();
    expect(streams()).toBe(1);
  });

  it('says nothing of who is inside to what carries it, and proves its peer by its own keys', async () => {
    const { alice, bob } = await nest();
    networks[0]?.peers.set('bob', { ...bob.peer, psk: randomBytes(32) });
    await expect(alice.tunnels.ping('bob', new Deadline(5_000))).rejects.toThrow('no tunnel to host-bob');
    expect(bob.tunnels.counters.open).toBe(0);
  });
});
