import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { flow, linkRig, policy, Streams, self } from './link.fixture.ts';

const { end, serve, setUp } = linkRig();

describe('flows that ended', () => {
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

  test.each([
    ['as it was where control keeps what it does not know', 2, 10],
    ['in the nearest word that it knows where control would drop it', 0, 5],
  ])('tells an outcome of a newer peer %s', async (_what, capability, outcome) => {
    const streams = new Streams();
    const { flows } = setUp(await serve(streams.handlers));
    flows.record({ ...flow, outcome: 'other', detail: 'out of luck' });
    const stream = await streams.next();
    await stream.hello(undefined, true, capability);
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    expect((await stream.next('flows')).records).toEqual([expect.objectContaining({ outcome, detail: 'out of luck' })]);
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

  test('waits for more where many came since the batch before', async () => {
    const streams = new Streams();
    const { flows } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello(new Uint8Array(32), true);
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    flows.record(flow);
    await stream.next('flows');
    const since = performance.now();
    for (let count = 0; count < 16; count++) flows.record(flow);
    expect((await stream.next('flows')).records).toHaveLength(16);
    expect(performance.now() - since).toBeGreaterThan(150);
  });

  test('sends the flows that are left before it ends', async () => {
    const streams = new Streams();
    const { flows, link } = setUp(await serve(streams.handlers));
    const stream = await streams.next();
    await stream.hello();
    stream.delta({ snapshot: true, index: 1, upserts: [self, policy] });
    await stream.next('ack');
    for (let count = 0; count < 1_500; count++) flows.record(flow);
    end();
    const first = await stream.next('flows');
    const second = await stream.next('flows');
    expect(first.records.length + second.records.length).toBe(1_500);
    await link;
  });
});
