/**
 * For tests: an agent's relay at the path that it is told, in a process that has no file left to start a program with until it hears `free`. It ends as an
 * agent does at `end`, and answers any other line, as long as its thread does not stand still.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { endAtOnce, mustEndAtOnce } from '../bytes/end-at-once.ts';
import { Relay } from './relay.ts';

/** What takes who comes to the door, and is too few for a program's pipes. */
const LEFT = 3;
const files: number[] = [];
const [path = ''] = process.argv.slice(2);
const stop = new AbortController();
const tell = (text: string) => process.stdout.write(`${text}\n`);

function fill(): void {
  try {
    for (;;) files.push(openSync('/dev/null', 'r'));
  } catch {
    for (const file of files.splice(-LEFT)) closeSync(file);
  }
}

new Relay({
  path,
  log: pino({ enabled: false }),
  signal: stop.signal,
  failed: (reason) => tell(reason ?? 'listens'),
  arrived: (visitor) => ({
    line: () => {
      visitor.say('granted aaaaa');
      visitor.close();
    },
    closed: () => {},
  }),
});
const lines = createInterface(process.stdin).on('line', (line) => {
  if (line === 'fill') fill();
  if (line === 'free') for (const file of files.splice(0)) closeSync(file);
  tell(line);
  if (line !== 'end') return;
  stop.abort();
  lines.close();
  if (mustEndAtOnce()) endAtOnce(0);
});
