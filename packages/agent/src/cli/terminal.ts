/** Where a command writes, and what it may assume of the place: handed in, so that commands run in tests as they are. */
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
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
  /** Characters of a line of results; undefined where there is no end to them: what is cut, a program behind a pipe misses. */
  readonly columns?: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  /** Puts a question to the person and answers with the line; not there where nobody sits. Rejects when the signal aborts. */
  readonly ask?: (question: string, signal: AbortSignal) => Promise<string>;
  /** Calls at each SIGHUP from now on, which else ends the process, but where its own terminal has gone: that stops it in order. */
  readonly onHangup?: (listener: () => void) => void;
  /** From now on the command goes on where its output cannot be written, and what it says is lost. */
  readonly serves?: () => void;
  /** How long the command may take from its signal on until it has ended in order; 5 s unless told otherwise. */
  readonly stopsWithin?: (limitMs: number) => void;
  /** Calls once, at a second signal, which else ends the process at once: the command has a second then to end by itself. */
  readonly onSecondSignal?: (listener: () => void) => void;
  /** Stdin and stdout as they are, for a command that carries what goes through them. */
  bytes(): Bytes;
}

export interface Bytes {
  readonly input: Readable & { readonly isTTY?: boolean };
  /** Its end is told to whoever reads it, though the command goes on. */
  readonly output: Writable;
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
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Terminal['env'];
}

interface OutputStream {
  /** True on a terminal; a pipe and a file have no such property. */
  readonly isTTY?: boolean;
  /** Of a terminal that knows how wide it is. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** Of a terminal that does not know how wide it is. */
const DEFAULT_COLUMNS = 80;

/** The process's own terminal. Colours follow https://no-color.org, for each of the two streams by itself. */
export function processTerminal({ stdin, stdout, stderr, env }: TerminalProcess = process): Terminal {
  const wanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outColors: wanted && stdout.isTTY === true,
    errColors: wanted && stderr.isTTY === true,
    // As it is at the time: a window may be drawn wider.
    get columns() {
      const told = stdout.columns || Number(env.COLUMNS);
      if (told > 0) return told;
      return stdout.isTTY === true ? DEFAULT_COLUMNS : undefined;
    },
    env,
    now: Date.now,
    bytes: processBytes,
    ...(stdin.isTTY === true && stderr.isTTY === true && { ask: asking(stdin, stderr) }),
  };
}

/** Told beside what a command answers. */
export function warn(terminal: Terminal, words: string): void {
  terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${printable(words)}\n`);
}

/** Why a command's signal is aborted. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
  /** By a hangup that somebody sent, such as ssh to its ProxyCommand, and no terminal that has gone. */
  readonly sentHangup: boolean;

  constructor(sentHangup: boolean) {
    super('interrupted');
    this.sentHangup = sentHangup;
  }
}

/** Node keeps the file of a stdout that has ended. */
function processBytes(): Bytes {
  const { stdin, stdout } = process;
  if (!stdout.isTTY) stdout.once('finish', () => closeSync(stdout.fd));
  return { input: stdin, output: stdout };
}

/** On stderr, for results often go to a file. The line is the terminal's own: Ctrl-C stays a signal. */
function asking(input: NodeJS.ReadableStream, stderr: OutputStream): NonNullable<Terminal['ask']> {
  return async (question, signal) => {
    signal.throwIfAborted();
    stderr.write(question);
    const lines = createInterface({ input, terminal: false, signal });
    try {
      // An end of input is an empty answer.
      for await (const line of lines) return line;
      signal.throwIfAborted();
      return '';
    } finally {
      lines.close();
    }
  };
}
