/** A store that takes its time, as one at the other end of a network does, for tests. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Log } from './change-log.fixture.ts';
import { withAppend } from './wrapped.fixture.ts';

/** Commits are made a turn after they were asked for, answered a turn later, and followers hear a turn after that. */
export function slow(store: Log): Log {
  const later =
    <Parameters extends unknown[], T>(method: (...parameters: Parameters) => Promise<T>) =>
    async (...parameters: Parameters): Promise<T> => {
      await turn();
      const answer = await method(...parameters);
      await turn();
      return answer;
    };
  return {
    ...withAppend(store, (expected, writes) => store.append(expected, writes)),
    read: later(() => store.read()),
    append: later((expected, writes) => store.append(expected, writes)),
    follow: (told) => store.follow((sequence) => void setTimeout(told, 2, sequence)),
  };
}
