/** Where a command writes, and what it may assume of the place: handed in, so that commands run in tests as they are. */
import { styleText } from 'node:util';
import { UNSEEN } from '@weft/proto';

export interface Terminal {
  /** Results. */
  out(text: string): void;
  /** What went wrong, and notes to the person. */
  err(text: string): void;
  /** Whether results may be coloured. */
  readonly outColors: boolean;
  /** Whether what goes to err may be coloured: results often go to a file while a person reads the rest. */
  readonly errColors: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

export type Color = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** The text in a colour for `out`, where that shows colours. */
export function paint(terminal: Terminal, color: Color, text: string): string {
  return terminal.outColors ? painted(color, text) : text;
}

/** The text in a colour for `err`, where that shows colours. */
export function paintErr(terminal: Terminal, color: Color, text: string): string {
  return terminal.errColors ? painted(color, text) : text;
}

/** Whether to paint was asked before: Node would ask its own stdout. */
function painted(color: Color, text: string): string {
  return styleText(color, text, { validateStream: false });
}

/**
 * Text from the network made safe to show: a host or a rule name must not move the cursor, colour the screen
 * or turn the direction of writing of whoever lists it.
 */
export function printable(text: string): string {
  return text.replace(UNSEEN, '\ufffd');
}

/** The part of a process that a terminal is made of. */
export interface TerminalProcess {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Terminal['env'];
}

interface OutputStream {
  /** True on a terminal; a pipe and a file have no such property. */
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** The process's own terminal. Colours follow https://no-color.org, for each of the two streams by itself. */
export function processTerminal({ stdout, stderr, env }: TerminalProcess = process): Terminal {
  const wanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outColors: wanted && stdout.isTTY === true,
    errColors: wanted && stderr.isTTY === true,
    env,
    now: Date.now,
  };
}
