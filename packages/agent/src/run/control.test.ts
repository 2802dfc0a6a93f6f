import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FlowRecorder } from '../flows/recorder.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { type ControlParts, followControl } from './control.ts';

test('an agent without control tells why nothing is known, and at its end of all records that control will never have', async () => {
  const recorder = new FlowRecorder({ queue: 10 });
  for (let id = 0; id < 1_000; id++) recorder.record({ id: String(id) } as never);
  const lines: { readonly event?: string; readonly records?: number }[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const stop = new AbortController();
  const problems = new ProblemBoard(logger);
  // Of control nothing is there.
  const { ended } = followControl(
    {
      request: {},
      member: { membership: { controlAddresses: ['127.0.0.1:1'], pin: 'x', agentId: 'a' }, keys: {} },
      store: { current: { self: undefined }, controlAddresses: [], markStale: () => {} },
      keeper: { changed: () => {} },
      putAway: true,
      problems,
      recorder,
      logger,
      control: { cause: '', address: '', revoked: false },
    } as unknown as ControlParts,
    stop.signal,
  );
  await expect
    .poll(() => problems.current, { timeout: 20_000 })
    .toMatchObject([
      {
        code: 'no-netmap',
        message: expect.stringMatching(/^what was kept .* was put out of the way .* waits for control at 127/),
      },
    ]);
  stop.abort();
  await ended;
  expect(lines.filter(({ event }) => event === 'flows-lost')).toMatchObject([{ records: 1_000 }]);
});
