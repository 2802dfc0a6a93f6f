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
  await new Promise<void>((settled) => window.add('prod', 'b', flows(from, from + 99), 0, settled));
  process.stdout.write(`${from + 99}\n`);
}
