/** Where a command writes, and what it may assume of the place: handed in, so that commands run in tests as they are. */

export interface Terminal {
  /** Results. */
  out(text: string): void;
  /** What went wrong, and notes to the person. */
  err(text: string): void;
  /** Whether results may be coloured. */
  readonly colors: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

export type Color = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

const CODES: Readonly<Record<Color, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  dim: [2, 22],
  bold: [1, 22],
};

/** The text in a colour, where the terminal shows colours. */
export function paint(terminal: Terminal, color: Color, text: string): string {
  if (!terminal.colors) return text;
  const [on, off] = CODES[color];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/**
 * Text from the network made safe to show: a host or a rule name must not move the cursor, colour the screen
 * or turn the direction of writing of whoever lists it.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** The process's own terminal. Colours follow https://no-color.org. */
export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    colors: process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb',
    env: process.env,
    now: Date.now,
  };
}
