import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_RANGE, itemKey, type NetmapItem } from '@weft/proto';
import {
  deltaToWire,
  encodeItem,
  helloMessage,
  inventoryFromWire,
  itemDigest,
  openFlowsFromWire,
  reportFromWire,
} from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import { makeTestKeys } from '../../testing/certificate.ts';
import { loadNetmap, NetmapKeeper } from '../member/persist.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { keptNetmap } from '../run/control.ts';
import { linkRig, openFlow, policy, Streams, self } from './link.fixture.ts';

const silent = pino({ level: 'silent' });
const { end, serve, setUp } = linkRig();
const instance: NetmapItem = {
  type: 'instance',
  service: 'redis',
  ordinal: 0,
  agentId: 'a2',
  address: CONTROL_RANGE.base + 9,
  healthy: true,
  notListening: [],
};

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
    // Whichever is enforced first.
    for (const { resolve } of elsewhere.toReversed()) resolve();
    expect(await stream.next('ack')).toMatchObject({ index: 1, revision: 3 });
    expect(await stream.next('ack')).toMatchObject({ index: 2, revision: 4 });
    expect(events).toEqual(['connected']);
  });

  test('tells of open flows when it is asked, and lets what it cannot read go by', async () => {
    const streams = new Streams();
    setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    await stream.next('ack');
    stream.send({ openFlows: { id: 6, service: 's'.repeat(1_000), most: 10 } });
    stream.send({ openFlows: { id: 7, most: 10 } });
    const told = await stream.next('openFlows');
    expect(told).toMatchObject({ id: 7, omitted: 3 });
    expect(openFlowsFromWire(told).flows).toEqual([openFlow]);
    // One that asks on and on is not answered for all of it.
    for (let id = 8; id < 1_008; id += 1) stream.send({ openFlows: { id, most: 10 } });
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    await stream.next('trace');
  });

  test('does not acknowledge what a follower failed to enforce, and has control say it again', async () => {
    const streams = new Streams();
    const { store, logged } = setUp(await serve(streams.handlers));
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
    expect(logged('change-not-enforced')).toMatchObject([
      { level: 50, cause: 'a worker failed: a flow would not end' },
    ]);
    expect(logged('control-lost')).toEqual([]);
    // Nor what fails on this thread, told in full.
    store.subscribe('flows', () => {
      throw new Error('out of luck');
    });
    second.delta({ previous: 1, index: 2, revision: 4 });
    const cause = 'revision 4 could not be enforced in full: out of luck';
    await expect.poll(() => logged('change-not-enforced').slice(1)).toMatchObject([{ level: 50, cause }]);
  });

  test('acknowledges what takes away when it is kept, and says so when it cannot be, and again once it could', async () => {
    const streams = new Streams();
    const { disk } = setUp(await serve(streams.handlers));
    const writing = Promise.withResolvers<boolean>();
    const recovered = Promise.withResolvers<void>();
    disk.holds = () => writing.promise;
    disk.recovered = recovered.promise;
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, revision: 3, upserts: [self, policy] });
    stream.delta({ previous: 1, index: 2, revision: 3, upserts: [instance] });
    stream.delta({ previous: 2, index: 3, revision: 4, upserts: [{ ...policy, defaultAction: 'deny' }] });
    stream.send({ trace: { id: 1, agentId: 'a2' } });
    await stream.next('trace');
    expect([disk.writes, stream.left.some(({ ack }) => ack)]).toEqual([[true, false, true], false]);
    writing.resolve(false);
    for (const index of [1, 2, 3]) expect(await stream.next('ack')).toMatchObject({ index, kept: false });
    recovered.resolve();
    expect(await stream.next('ack')).toMatchObject({ index: 1, kept: true });
    disk.holds = () => Promise.resolve(true);
    stream.delta({ previous: 3, index: 4, revision: 5 });
    expect(await stream.next('ack')).toMatchObject({ index: 4, kept: true });
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
    const receipt = new Uint8Array(16).fill(7);
    first.delta({ snapshot: true, index: 3, revision: 2, receipt, upserts: [self, policy] });
    await first.next('ack');
    control.close();
    await serve(streams.handlers, keys, Number(control.address.split(':')[1]));
    const second = await streams.next();
    expect(store.staleSinceMs).toBe(9_000);
    const hello = await second.hello();
    // Of what it heard, both where it stands and control's own proof of it.
    expect(hello).toMatchObject({ timeline: 't1', index: 3, revision: 2, receipt: Buffer.alloc(16, 7) });
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

  test('finds control where it said that it would be, and takes no other for it', async () => {
    const [streams, moved, strange] = [new Streams(), new Streams(), new Streams()];
    const keys = makeTestKeys();
    const control = await serve(streams.handlers, keys);
    const other = await serve(strange.handlers);
    const next = await serve(moved.handlers, keys);
    const { store } = setUp(control);
    const first = await streams.next();
    await first.hello();
    const told: NetmapItem = { ...self, controlAddresses: [other.address, next.address] };
    first.delta({ snapshot: true, index: 3, revision: 2, upserts: [told, policy] });
    await first.next('ack');
    control.close();
    const second = await moved.next();
    expect(await second.hello()).toMatchObject({ timeline: 't1', index: 3 });
    expect(store.controlAddresses).toEqual([other.address, next.address]);
    expect(strange.come).toBe(0);
  });

  test('says of an item what control sent, with a field that this version does not know, also after a restart', async () => {
    const streams = new Streams();
    const control = await serve(streams.handlers);
    const { store } = setUp(control);
    const first = await streams.next();
    await first.hello();
    // Field 100.
    const sent = [self, policy].map((item) => Buffer.concat([encodeItem(item), Buffer.from([0xa0, 0x06, 1])]));
    first.send({ delta: { timeline: 't1', index: 1, revision: 1, snapshot: true, upserts: sent } });
    await first.next('ack');
    const digests = new Map(['self', 'policy'].map((key, at) => [key, itemDigest(sent[at] ?? Buffer.alloc(0))]));
    first.call.end();
    const again = await (await streams.next()).hello();
    expect(inventoryFromWire(again.inventory)).toEqual(digests);

    const directory = mkdtempSync(join(tmpdir(), 'weft-link-'));
    const [problems, signal] = [new ProblemBoard(silent), new AbortController().signal];
    await new NetmapKeeper({ directory, agentId: 'a1', source: () => keptNetmap(store), problems, signal }).flush();
    const restored = await loadNetmap(directory, 'a1', silent);
    rmSync(directory, { recursive: true });
    const { store: restarted } = setUp(control, { restored });
    expect(restarted.items).toEqual(store.items);
    expect(inventoryFromWire((await (await streams.next()).hello()).inventory)).toEqual(digests);
  });

  test('keeps what it holds when control will not serve it, and asks again', async () => {
    const streams = new Streams();
    const { store, events } = setUp(await serve(streams.handlers));
    const first = await streams.next();
    await first.hello();
    first.delta({ snapshot: true, index: 1, revision: 3, upserts: [self, policy] });
    await first.next('ack');
    first.send({ held: { reason: 'control knows no such agent', unknown: true } });
    const second = await streams.next();
    await second.hello();
    expect(store.current).toMatchObject({ revision: 3, self: { host: 'build-3' } });
    expect(events).toEqual(['connected', 'held 0 true: control knows no such agent']);
  });

  test.each(['held', 'revoked'] as const)(
    'tells no other cause while control says that it is %s, though nobody listens at another of its addresses',
    async (refused) => {
      const streams = new Streams();
      const control = await serve(streams.handlers);
      const { events } = setUp(control, { beside: [`127.0.0.1:${await freePort()}`] });
      const said = { reason: 'so it is' };
      for (let times = 0; times < 3; times += 1) {
        const stream = await streams.next();
        await stream.hello();
        stream.send(refused === 'held' ? { held: said } : { revoked: said });
      }
      await streams.next();
      expect([...new Set(events)]).toEqual([refused === 'held' ? 'held 0 false: so it is' : 'revoked: so it is']);
      control.close();
      await expect.poll(() => events).toContain('disconnected');
    },
  );

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
        // A service x of kind 9.
        upserts: [...(wire.upserts ?? []), Buffer.from('\n\tservice/x\x12\x07\n\x05\n\x01x\x10\x09')],
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

  test('ends a session that breaks the order, and begins another', async () => {
    const streams = new Streams();
    const { store } = setUp(await serve(streams.handlers));
    (await streams.next()).delta({ snapshot: true, upserts: [self] });
    const second = await streams.next();
    expect(store.current.self).toBeUndefined();
    second.send({ challenge: { nonce: new Uint8Array(3) } });
    await streams.next();
  });

  test('ends with its signal', async () => {
    const streams = new Streams();
    const { link } = setUp(await serve(streams.handlers));
    await (await streams.next()).hello();
    end();
    await link;
  });
});
