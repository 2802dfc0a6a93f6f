import { beforeEach, describe, expect, it } from 'vitest';
import { ByteQueue } from './byte-queue.ts';
import { BACKLOG_LIMIT, type RecordOutput, type ScheduledStream, Scheduler } from './scheduler.ts';
import { FRAME, FRAME_HEADER } from './types.ts';

const KiB = 1024;
const SMALL = 4 * KiB;
const QUANTUM = 64 * KiB;

/** Each record as `id:length` of its frames. */
class Output implements RecordOutput {
  readonly records: string[] = [];
  /** Whether the network takes nothing: all that is sealed waits. */
  stalled: boolean = false;
  backlog = 0;
  asked = 0;

  record(pieces: readonly Buffer[]): void {
    const record = Buffer.concat(pieces);
    const frames: string[] = [];
    for (let at = 0; at < record.length; ) {
      const length = record.readUInt32BE(at + 5);
      frames.push(`${record.readUInt32BE(at + 1)}:${length}`);
      at += FRAME_HEADER + length;
    }
    this.records.push(frames.join(' '));
    if (this.stalled) this.backlog += record.length;
  }

  flushSoon(): void {
    this.asked += 1;
  }
}

class Stream implements ScheduledStream {
  readonly id: number;
  credit: number;
  readonly sendQueue = new ByteQueue();
  turns = 0;

  constructor(id: number, bytes: number, credit = 1_000 * KiB) {
    this.id = id;
    this.credit = credit;
    this.sendQueue.push(Buffer.alloc(bytes), true);
  }

  get waitsForTurn(): boolean {
    return this.sendQueue.length > 0 && this.credit > 0;
  }

  afterSend(): void {
    this.turns += 1;
  }
}

let output: Output;
let scheduler: Scheduler;
beforeEach(() => {
  output = new Output();
  scheduler = new Scheduler(output);
});

const small = (id: number, bytes = 10): void => scheduler.data(new Stream(id, 0), Buffer.alloc(bytes));

describe('what is small', () => {
  it('is sealed once for a turn of the loop, in the order of the calls', () => {
    small(1);
    scheduler.control(FRAME.fin, 1);
    small(3, SMALL);
    expect([output.records, output.asked]).toEqual([[], 1]);
    scheduler.flush();
    expect(output.records).toEqual(['1:10 1:0 3:4096']);
    scheduler.flush();
    expect(output.records).toHaveLength(1);
    small(1);
    expect(output.asked).toBe(2);
  });

  it('goes before what is large and was said after it, in one record', () => {
    small(1);
    scheduler.data(new Stream(3, 0), Buffer.alloc(SMALL + 1));
    expect(output.records).toEqual(['1:10 3:4097']);
  });

  it('is sealed at once when it fills a batch', () => {
    for (let id = 1; id <= 4; id++) small(id, SMALL);
    expect(output.records).toEqual(['1:4096 2:4096 3:4096']);
  });

  it('tells of a crowd when a batch had four frames', () => {
    for (const [frames, crowded] of [
      [4, true],
      [3, false],
    ] as const) {
      for (let id = 1; id <= frames; id++) small(id);
      scheduler.flush();
      expect(scheduler.crowded).toBe(crowded);
    }
  });

  it('is sealed at once with a frame that must be the last', () => {
    small(1);
    scheduler.last(FRAME.rekey);
    expect(output.records).toEqual(['1:10 0:0']);
  });

  it('uses up its stream’s credit', () => {
    const stream = new Stream(1, 0, 100);
    scheduler.data(stream, Buffer.alloc(60));
    expect(stream.credit).toBe(40);
  });
});

describe('what is taken at once', () => {
  it.each([
    [SMALL, 2 * BACKLOG_LIMIT],
    [SMALL + 1, BACKLOG_LIMIT],
  ])('%i bytes while less than %i wait', (length, limit) => {
    output.backlog = limit - 1;
    expect(scheduler.takes(length)).toBe(true);
    output.backlog = limit;
    expect(scheduler.takes(length)).toBe(false);
  });

  it('is nothing large while a stream waits for its turn', () => {
    const stream = new Stream(1, 10);
    scheduler.ready(stream);
    expect([scheduler.takes(SMALL), scheduler.takes(SMALL + 1)]).toEqual([true, false]);
    scheduler.forget(stream);
    expect(scheduler.takes(SMALL + 1)).toBe(true);
    scheduler.flush();
    expect(output.records).toEqual([]);
  });

  it('is a datagram, until the tunnel is too far behind for it', () => {
    expect(scheduler.datagram(1, Buffer.alloc(SMALL))).toBe(true);
    expect(output.records).toEqual([]);
    expect(scheduler.datagram(3, Buffer.alloc(SMALL + 1))).toBe(true);
    expect(output.records).toEqual(['1:4096 3:4097']);
    output.backlog = 2 * BACKLOG_LIMIT - 1;
    expect(scheduler.datagram(1, Buffer.alloc(1))).toBe(true);
    output.backlog = 2 * BACKLOG_LIMIT;
    expect(scheduler.datagram(1, Buffer.alloc(1))).toBe(false);
  });
});

describe('a turn', () => {
  it('gives each stream its quantum, and goes on in the order of the line', () => {
    const streams = [new Stream(1, 100 * KiB), new Stream(3, 100 * KiB), new Stream(5, 10)];
    for (const stream of streams) scheduler.ready(stream);
    scheduler.flush();
    expect(output.records).toEqual([`1:${QUANTUM} 3:${QUANTUM} 5:10`, `1:${36 * KiB} 3:${36 * KiB}`]);
    expect(streams.map(({ turns }) => turns)).toEqual([2, 2, 1]);
  });

  it('is one record, and who does not fit is first in the next', () => {
    for (const id of [1, 3, 5, 7]) scheduler.ready(new Stream(id, QUANTUM));
    scheduler.flush();
    const [first, ...others] = output.records;
    expect(first).toBe(`1:${QUANTUM} 3:${QUANTUM} 5:${QUANTUM - 2 * FRAME_HEADER}`);
    expect(others.join(' ')).toBe(`7:${QUANTUM} 5:${2 * FRAME_HEADER}`);
  });

  it('goes no further than the peer’s credit', () => {
    const stream = new Stream(1, 100, 30);
    scheduler.ready(stream);
    scheduler.flush();
    expect([output.records, stream.credit, stream.sendQueue.length, stream.turns]).toEqual([['1:30'], 0, 70, 1]);
  });

  it('comes only while the network takes bulk', () => {
    output.backlog = BACKLOG_LIMIT;
    scheduler.ready(new Stream(1, 10));
    expect(output.asked).toBe(0);
    scheduler.flush();
    expect(output.records).toEqual([]);
    output.backlog = BACKLOG_LIMIT - 1;
    scheduler.flush();
    expect(output.records).toEqual(['1:10']);
  });

  it('is the last when what it sealed is too much for the network', () => {
    output.stalled = true;
    for (let id = 1; id <= 30; id++) scheduler.ready(new Stream(id, QUANTUM));
    scheduler.flush();
    // Three of 192 KiB make more than 512.
    expect(output.records).toHaveLength(3);
    expect(scheduler.writable).toBe(false);
  });

  it('ends for a writer that refills at once, and is asked for again', () => {
    const stream = new Stream(1, 0, Number.MAX_SAFE_INTEGER);
    stream.afterSend = () => {
      stream.turns += 1;
      stream.sendQueue.push(Buffer.alloc(10), true);
    };
    stream.sendQueue.push(Buffer.alloc(10), true);
    scheduler.ready(stream);
    const { asked } = output;
    scheduler.flush();
    expect(stream.turns).toBe(8);
    expect(output.asked).toBe(asked + 1);
  });

  it('is none within another: what a writer says in its turn comes after it', () => {
    const stream = new Stream(1, 2 * QUANTUM);
    stream.afterSend = () => {
      stream.turns += 1;
      if (stream.turns === 1) scheduler.flush();
    };
    scheduler.ready(stream);
    scheduler.flush();
    expect(output.records).toEqual([`1:${QUANTUM}`, `1:${QUANTUM}`]);
    expect(stream.turns).toBe(2);
  });
});

it('sends nothing after its end', () => {
  small(1);
  const waiting = new Stream(3, 10);
  scheduler.ready(waiting);
  scheduler.close();
  scheduler.ready(new Stream(5, 10));
  small(7);
  scheduler.data(new Stream(9, 0), Buffer.alloc(SMALL + 1));
  expect(scheduler.datagram(11, Buffer.alloc(1))).toBe(false);
  scheduler.last(FRAME.rekey);
  scheduler.flush();
  expect(output.records).toEqual([]);
  expect(waiting.turns).toBe(0);
});
