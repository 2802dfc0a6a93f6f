import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LiveEvent } from '../../../src/dashboard/api.ts';
import { SILENCE_MS, Stream } from './stream.ts';

/** As far as Stream uses one. */
class FakeSource extends EventTarget {
  readonly CLOSED = 2;
  readyState = 1;
  closed = false;

  close(): void {
    this.closed = true;
  }

  send(event: Partial<LiveEvent>): void {
    this.dispatchEvent(new MessageEvent('live', { data: JSON.stringify(event) }));
  }

  breakOff(readyState: number): void {
    this.readyState = readyState;
    this.dispatchEvent(new Event('error'));
  }
}

function started(goOn = true) {
  const sources: FakeSource[] = [];
  const told: string[] = [];
  const stream = new Stream(
    'api/live',
    {
      live: ({ atMs }) => told.push(`live ${atMs}`),
      flows: () => told.push('flows'),
      silent: () => told.push('silent'),
      gaveUp: () => Promise.resolve(goOn),
    },
    {
      open: () => {
        const source = new FakeSource();
        sources.push(source);
        return source as unknown as EventSource;
      },
      now: () => Date.now(),
    },
  );
  return { stream, sources, told };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the live connection', () => {
  it('tells of silence, though the connection did not break', async () => {
    const { stream, sources, told } = started();
    sources[0]?.send({ atMs: 1 });
    await vi.advanceTimersByTimeAsync(SILENCE_MS);
    expect(told).toEqual(['live 1']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toEqual(['live 1', 'silent']);
    stream.close();
  });

  it('leaves a broken connection to the browser, which resumes it', async () => {
    const { stream, sources, told } = started();
    sources[0]?.breakOff(0);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told).toEqual(['silent']);
    expect(sources).toHaveLength(1);
    stream.close();
  });

  it('starts anew when the browser gives up, waiting longer each time', async () => {
    const { stream, sources } = started();
    sources[0]?.breakOff(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sources).toHaveLength(2);
    sources[1]?.breakOff(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sources).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sources).toHaveLength(3);
    stream.close();
  });

  it('does not start anew when the session is over, nor once closed', async () => {
    const over = started(false);
    over.sources[0]?.breakOff(2);
    const left = started();
    left.sources[0]?.breakOff(2);
    left.stream.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([over.sources.length, left.sources.length]).toEqual([1, 1]);
    expect(left.sources[0]?.closed).toBe(true);
    over.stream.close();
  });
});
