/** One connection of server-sent events. */
import type { ServerResponse } from 'node:http';
import { ANSWER_HEADERS } from './headers.ts';
import type { LiveFeed } from './live-feed.ts';

export interface LiveStreamOptions {
  readonly response: ServerResponse;
  readonly feed: LiveFeed;
  readonly lastEventId: string | undefined;
  /** Aborts when whoever looks may look no longer. */
  readonly ended: AbortSignal;
  /** Asked once a second. False when whoever looks may look no longer. */
  readonly permitted: () => boolean;
  /** Tells for how long a connection took nothing: it never goes back. */
  readonly steady: () => number;
}

/** A connection that takes nothing for so long is gone, though its end was never heard of. */
const STUCK_MS = 30_000;

/** Returns when the connection is over. */
export async function stream({ response, feed, ...options }: LiveStreamOptions): Promise<void> {
  const { lastEventId, ended, permitted, steady } = options;
  response.writeHead(200, {
    ...ANSWER_HEADERS,
    'content-type': 'text/event-stream; charset=utf-8',
    // A proxy that gathers answers before it passes them on would hold events back.
    'x-accel-buffering': 'no',
  });
  const end = (): void => void response.end();
  let stuckSinceMs: number | undefined;
  const ready = (): boolean => !response.writableNeedDrain && !response.writableEnded;
  const leave = feed.join(
    {
      ready,
      permitted: () => {
        stuckSinceMs = ready() ? undefined : (stuckSinceMs ?? steady());
        if (stuckSinceMs !== undefined && steady() - stuckSinceMs >= STUCK_MS) response.destroy();
        else if (permitted()) return true;
        else end();
        return false;
      },
      write: (text) => void response.write(text),
    },
    lastEventId,
  );
  ended.addEventListener('abort', end, { once: true });
  await new Promise<void>((resolve) => {
    if (response.closed) resolve();
    else response.once('close', resolve);
  });
  ended.removeEventListener('abort', end);
  leave();
}
