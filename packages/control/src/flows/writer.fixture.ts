/** A process that writes flows into the window in the directory it is given, until it is killed. Says what is on disk. */
import { pino } from 'pino';
import { flows } from './flow.fixture.ts';
import { openFlowWindow } from './window.ts';

const window = await openFlowWindow({
  directory: process.argv[2] ?? '',
  logger: pino({ level: 'silent' }),
  now: Date.now,
  limits: { segmentRecords: 1_000 },
});
for (let from = 1; ; from += 100) {
  window.add('prod', 'b', flows(from, from + 99), 0);
  // A question is answered when all before it is written.
  const { flows: newest } = await window.query('prod', { filter: {}, limit: 1 }, new AbortController().signal);
  process.stdout.write(`${newest[0]?.record.startedMs}\n`);
}
