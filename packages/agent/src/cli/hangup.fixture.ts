/** For tests: a program that writes to the file that it is told its number, and then what comes of each hangup, until it is stopped. */
import { appendFileSync } from 'node:fs';
import { onHangup, watchTerminal } from './hangup.ts';

const [file = ''] = process.argv.slice(2);
const tell = (word: string | number) => appendFileSync(file, `${word}\n`);

const watched = watchTerminal();
onHangup(watched, () => tell(watched.gone() ? 'told, its terminal gone' : 'told'));
process.on('SIGTERM', () => {
  tell('stopped');
  process.exit();
});
tell(process.pid);
setInterval(() => {}, 60_000);
