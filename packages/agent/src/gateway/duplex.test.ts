import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Conduit, ConduitEvents } from '../words/conduit.ts';
import { passing } from '../words/passing-memory.ts';
import { ConduitDuplex } from './duplex.ts';

/** A conduit whose far end is the test. */
class FakeConduit implements Conduit {
  events: ConduitEvents | undefined;
  readonly written: string[] = [];
  readonly calls: string[] = [];
  room = true;

  attach(events: ConduitEvents): void {
    this.events = events;
  }
  write(piece: Buffer): boolean {
    this.written.push(piece.toString());
    return this.room;
  }
  end(): void {
    this.calls.push('end');
  }
  reset(): void {
    this.calls.push('reset');
  }
  resetWhenWritten(): void {
    this.calls.push('reset when written');
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
}

function create() {
  const conduit = new FakeConduit();
  const duplex = new ConduitDuplex(conduit);
  const events = conduit.events;
  if (events === undefined) throw new Error('the duplex attaches at once');
  return { conduit, duplex, events };
}

/** How much was counted since the last look. */
function takePassing(): number {
  const { bytes } = passing;
  passing.bytes = 0;
  return bytes;
}

describe('ConduitDuplex', () => {
  it('copies pieces that it may not keep, and keeps those that it may', async () => {
    const { duplex, events } = create();
    takePassing();
    const borrowed = Buffer.from('one');
    const given = Buffer.from('two');
    events.data(borrowed, false);
    borrowed.fill('x');
    events.data(given, true);
    events.end();
    const pieces: Buffer[] = [];
    for await (const piece of duplex) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).toString()).toBe('onetwo');
    expect(takePassing()).toBe('one'.length);
  });

  it('pauses the far writer when nobody reads, and resumes it when somebody does', async () => {
    const { conduit, duplex, events } = create();
    const piece = Buffer.alloc(duplex.readableHighWaterMark);
    events.data(piece, true);
    events.data(piece, true);
    expect(conduit.calls).toEqual(['pause']);
    duplex.resume();
    await expect.poll(() => conduit.calls).toEqual(['pause', 'resume']);
  });

  it('holds its writer until there is room', async () => {
    const { conduit, duplex, events } = create();
    conduit.room = false;
    const done: string[] = [];
    duplex.write('one', () => done.push('one'));
    duplex.cork();
    duplex.write('two', () => done.push('two'));
    duplex.write('three', () => done.push('three'));
    duplex.uncork();
    await Promise.resolve();
    expect([conduit.written, done]).toEqual([['one'], []]);
    conduit.room = true;
    events.drain();
    await expect.poll(() => done).toEqual(['one', 'two', 'three']);
    expect(conduit.written).toEqual(['one', 'two', 'three']);
  });

  it('passes half-close in each direction by itself', async () => {
    const { conduit, duplex, events } = create();
    duplex.end('last');
    await once(duplex, 'finish');
    expect([conduit.written, conduit.calls]).toEqual([['last'], ['end']]);
    events.data(Buffer.from('still'), true);
    expect(String(await once(duplex, 'data'))).toBe('still');
    events.end();
    await once(duplex, 'close');
    // What was written may still be on its way: nothing was reset.
    expect(conduit.calls).toEqual(['end']);
    events.closed('closed');
  });

  it('gives up in the end what is on its way to who takes nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { conduit, duplex, events } = create();
    duplex.resume().end('last');
    events.end();
    await once(duplex, 'close');
    vi.advanceTimersByTime(4_999);
    expect(conduit.calls).toEqual(['end']);
    vi.advanceTimersByTime(1);
    expect(conduit.calls).toEqual(['end', 'reset']);
  });

  it('fails with ECONNRESET and the cause when the conduit is reset', async () => {
    const { conduit, duplex, events } = create();
    const cause = new Error('cut');
    const failed = finished(duplex);
    events.closed('reset', cause);
    await expect(failed).rejects.toMatchObject({ code: 'ECONNRESET', cause });
    expect(conduit.calls).toEqual([]);
  });

  it('resets the conduit when it is destroyed before its time', async () => {
    const { conduit, duplex, events } = create();
    duplex.destroy();
    await once(duplex, 'close');
    expect(conduit.calls).toEqual(['reset']);
    events.data(Buffer.from('late'), false);
    events.closed('reset');
    expect(duplex.errored).toBeNull();
  });

  it('lets go of a writer who waits when the conduit closes', async () => {
    const { conduit, duplex, events } = create();
    conduit.room = false;
    const written = new Promise<void>((resolve) => duplex.write('one', () => resolve()));
    events.end();
    events.closed('closed');
    await written;
    duplex.end('two');
    duplex.resume();
    await finished(duplex);
    expect([conduit.written, conduit.calls]).toEqual([['one'], []]);
  });
});
