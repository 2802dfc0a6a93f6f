/**
 * For tests: an agent's relay at the path that it is told, in a process that has no file left to start a program with until it hears `free`. It answers any
 * other line, as long as its thread does not stand still.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { Relay } from './relay.ts';

/** What takes who comes to the door, and is too few for a program's pipes. */
const LEFT = 3;
const files: number[] = [];
const [path = ''] = process.argv.slice(2);
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
  signal: new AbortController().signal,
  failed: (reason) => tell(reason ?? 'listens'),
  arrived: (visitor) => ({
    line: () => {
      visitor.say('granted aaaaa');
      visitor.close();
    },
    closed: () => {},
  }),
});
createInterface(process.stdin).on('line', (line) => {
  if (line === 'fill') fill();
  if (line === 'free') for (const file of files.splice(0)) closeSync(file);
  tell(line);
});
