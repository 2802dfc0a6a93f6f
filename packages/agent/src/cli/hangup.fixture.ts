/** For tests: a program that writes to the file that it is told its number, and then what comes of each hangup, until it is stopped. */
import { appendFileSync } from 'node:fs';
import { onHangup, watchTerminal } from './hangup.ts';

const [file = '', drainMs = '0'] = process.argv.slice(2);
const tell = (word: string | number) => appendFileSync(file, `${word}\n`);

const watched = watchTerminal();
let stopping = false;
onHangup(
  watched,
  () => tell(watched.gone() ? 'told, its terminal gone' : 'told'),
  () => stopping,
);
// As of an agent that drains, one that was told to stop goes on for a while: as long as it was told, milliseconds.
process.on('SIGTERM', () => {
  tell('stopped');
  stopping = true;
  setTimeout(() => {
    tell('drained');
    process.exit();
  }, Number(drainMs));
});
tell(process.pid);
setInterval(() => {}, 60_000);
