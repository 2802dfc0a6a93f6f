import { describe, expect, it } from 'vitest';
import type { Conduit, ConduitEvents } from '../words/conduit.ts';
import { type SpliceResult, splice } from './splice.ts';

/** One end under the test's hand. */
class Hand implements Conduit {
  readonly log: string[] = [];
  room: boolean = true;
  events: ConduitEvents | undefined;

  attach(events: ConduitEvents): void {
    this.events = events;
  }

  write(piece: Buffer, owned: boolean): boolean {
    this.log.push(`write ${piece.toString()} ${owned ? 'owned' : 'lent'}`);
    return this.room;
  }

  end(): void {
    this.log.push('end');
  }

  reset(): void {
    this.log.push('reset');
  }

  resetWhenWritten(): void {
    this.log.push('reset when written');
  }

  pause(): void {
    this.log.push('pause');
  }

  resume(): void {
    this.log.push('resume');
  }

  get far(): ConduitEvents {
    if (this.events === undefined) throw new Error('not attached');
    return this.events;
  }
}

function world(): { a: Hand; b: Hand; results: SpliceResult[] } {
  const [a, b] = [new Hand(), new Hand()];
  const results: SpliceResult[] = [];
  splice(a, b, (result) => results.push(result));
  return { a, b, results };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('splice', () => {
  it('moves bytes both ways and runs both halves to completion', async () => {
    const { a, b, results } = world();
    a.far.data(Buffer.from('question'), false);
    a.far.end();
    expect(b.log).toEqual(['write question lent', 'end']);
    b.far.data(Buffer.from('ok'), true);
    b.far.end();
    b.far.closed('closed');
    await turn();
    expect(results).toEqual([]);
    a.far.closed('closed');
    await turn();
    expect(a.log).toEqual(['write ok owned', 'end']);
    expect(results).toEqual([{ how: 'closed', failedSide: undefined, cause: undefined }]);
  });

  it('stops the side that writes too much until the other drained', () => {
    const { a, b } = world();
    b.room = false;
    a.far.data(Buffer.from('much'), true);
    expect(a.log).toEqual(['pause']);
    b.far.drain();
    expect(a.log).toEqual(['pause', 'resume']);
  });

  it.each(['a', 'b'] as const)('passes a reset of side %s on and names it', async (side) => {
    const made = world();
    const [failed, other] = side === 'a' ? [made.a, made.b] : [made.b, made.a];
    const cause = new Error('ECONNRESET');
    failed.far.closed('reset', cause);
    expect(other.log).toEqual(['reset when written']);
    other.far.closed('reset');
    await turn();
    expect(made.results).toEqual([{ how: 'reset', failedSide: side, cause }]);
  });

  it('writes no more to a side that is closed', () => {
    const { a, b } = world();
    b.far.closed('reset');
    a.far.data(Buffer.from('late'), true);
    expect(b.log).toEqual([]);
  });

  it('calls done after it has returned, even when both sides were over before', async () => {
    class Over extends Hand {
      override attach(events: ConduitEvents): void {
        events.closed('closed');
      }
    }
    let returned = false;
    const done = new Promise<boolean>((resolve) => {
      splice(new Over(), new Over(), () => resolve(returned));
    });
    returned = true;
    expect(await done).toBe(true);
  });
});
