import type { FlowRecord } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { type FlowBatch, FlowRecorder } from '../../flows/recorder.ts';
import { HandOver } from './hand-over.ts';

const flow = (id: number) => ({ id: String(id) }) as FlowRecord;
const ids = (batches: readonly FlowBatch[]) => batches.flatMap(({ records }) => records.map(({ id }) => Number(id)));

function worker(queue = 100) {
  const recorder = new FlowRecorder({ queue, batch: 3, recent: 1 });
  const out: FlowBatch[] = [];
  return { recorder, out, handOver: new HandOver(recorder, (batch) => out.push(batch)) };
}

describe('handing over records', () => {
  it('sends a batch at a time, and the next when that one was taken', async () => {
    const { recorder, out, handOver } = worker();
    for (let id = 1; id <= 7; id++) recorder.record(flow(id));
    await expect.poll(() => out.length).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ids(out)).toEqual([1, 2, 3]);
    handOver.taken();
    await expect.poll(() => out.length).toBe(2);
    handOver.taken();
    await expect.poll(() => ids(out)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('is bounded while the main thread is slow, and tells what was lost', async () => {
    const { recorder, out, handOver } = worker(4);
    recorder.record(flow(1));
    await expect.poll(() => out.length).toBe(1);
    for (let id = 2; id <= 11; id++) recorder.record(flow(id));
    handOver.taken();
    await expect.poll(() => out.length).toBe(2);
    expect(out[1]).toMatchObject({ dropped: 6 });
    expect(ids(out)).toEqual([1, 8, 9, 10]);
  });

  it('ends when the last record was taken, also with a batch under way', async () => {
    const { recorder, out, handOver } = worker();
    for (let id = 1; id <= 4; id++) recorder.record(flow(id));
    await expect.poll(() => out.length).toBe(1);
    let ended = false;
    const finished = handOver.finish().then(() => {
      ended = true;
    });
    for (let id = 5; id <= 6; id++) recorder.record(flow(id));
    for (let batch = 1; batch <= 2; batch++) {
      await expect.poll(() => out.length).toBe(batch);
      expect(ended).toBe(false);
      handOver.taken();
    }
    await finished;
    expect(ids(out)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(recorder.counters).toMatchObject({ queued: 0, unanswered: 0 });
  });

  it('ends at once with nothing to hand over', async () => {
    const { out, handOver } = worker();
    await handOver.finish();
    expect(out).toEqual([]);
  });

  it('makes them the main recorder’s own, losses too', async () => {
    const main = new FlowRecorder({ queue: 2 });
    main.record(flow(1));
    main.adopt({ records: [flow(2), flow(3)], dropped: 5 });
    expect(main.counters).toMatchObject({ recorded: 8, dropped: 6, untold: 6, queued: 2 });
    expect(main.adopted).toBe(7);
    const batch = await main.nextBatch(new AbortController().signal);
    expect(batch.dropped).toBe(6);
    expect(ids([batch])).toEqual([2, 3]);
  });
});
