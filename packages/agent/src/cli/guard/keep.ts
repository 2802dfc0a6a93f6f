/** weft guard keep: sees to it that the guard's table stands as it is wanted, until it is ended; then the table stays. */
import { spawn } from 'node:child_process';
import { messageOf } from '@weft/proto';
import { GuardError } from '../../guard/errors.ts';
import { findNft, type Nft } from '../../guard/nft.ts';
import { isOfAnother, loadOf, REMOVAL, stateOf } from '../../guard/ruleset.ts';
import { CommandError } from '../errors.ts';
import { defaultDirectory } from '../paths.ts';
import { printable, type Terminal } from '../terminal.ts';
import { askAgent, keptWish, realPathOf, type Wish, wishNow } from './wish.ts';

export interface KeepOptions {
  readonly data?: string;
}

/** The agent is asked so often what is to be closed. */
const ASK_MS = 1_000;
/** The table is looked at at least so often, should the kernel not have told of a change. */
const LOOK_MS = 10_000;
/** A program that tells of changes, and has ended, is begun again after so long. */
const LISTEN_AGAIN_MS = 5_000;

/** Resolves when the signal is aborted. Rejects with GuardError where the table cannot be had at all. */
export async function keepGuard(options: KeepOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  const nft = findNft();
  // What cannot work says so at the start.
  await nft.table();
  await new Keeper(directory, nft, terminal, signal).run();
}

class Keeper {
  readonly #directory: string;
  readonly #nft: Nft;
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  #wish: Wish | undefined;
  /** Ended by what tells of a change. */
  #pause = new AbortController();
  #touched: boolean = true;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Of the places that are closed now; empty also where no agent gave them a number. */
  #closed = '';
  /** Who may call from the range, as it is loaded. */
  #users = '';
  /** Whether the table is of this keeper's making: it then goes with the wish for it. */
  #loaded: boolean = false;
  /** What was said last: the same is not said each second. */
  #said = '';

  constructor(directory: string, nft: Nft, terminal: Terminal, signal: AbortSignal) {
    this.#directory = directory;
    this.#nft = nft;
    this.#terminal = terminal;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    this.#listen();
    this.#wish = await this.#kept();
    await this.#see();
    while (!this.#signal.aborted) {
      await this.#ask();
      await this.#see();
      if (this.#touched) continue;
      await this.#rest();
    }
    // Whoever looks from now on hears that nothing keeps it.
    await askAgent(this.#directory, { keeps: false }, new AbortController().signal).catch(() => {});
  }

  /** What the agent kept: it may not be up yet, and what listens is open until then. */
  async #kept(): Promise<Wish | undefined> {
    try {
      return await keptWish(this.#directory);
    } catch (error) {
      this.#say(messageOf(error));
      return undefined;
    }
  }

  async #ask(): Promise<void> {
    const told = { keeps: true, ...(this.#closed === '' ? {} : { closed: this.#closed }) };
    try {
      this.#wish = await wishNow(this.#directory, told, this.#signal);
    } catch (error) {
      if (this.#signal.aborted) return;
      // With neither agent nor file nothing is wanted: the one who takes it away takes the file. What cannot be asked is kept as it was.
      if (error instanceof CommandError && error.code === 'nothing-to-ask') this.#wish = undefined;
      else this.#say(`${messageOf(error)}; what is closed stays so`);
    }
  }

  async #see(): Promise<void> {
    const wish = this.#wish;
    const now = performance.now();
    const isAsWished =
      wish?.wanted === true && this.#loaded && wish.number === this.#closed && wish.users.join() === this.#users;
    if (isAsWished && !this.#touched && now - this.#lookedMs < LOOK_MS) return;
    this.#touched = false;
    try {
      if (wish?.wanted === true) await this.#close(wish);
      else await this.#open();
      this.#lookedMs = now;
    } catch (error) {
      this.#closed = '';
      this.#say(messageOf(error));
    }
  }

  async #close(wish: Wish): Promise<void> {
    const state = stateOf(wish, await this.#nft.table());
    if (state === 'other')
      throw new GuardError(
        'guard-of-another',
        'another agent of this host has its guard on, and its table is left as it is',
      );
    if (state !== 'whole') {
      await this.#nft.load(loadOf(wish));
      this.#say(`closed ${wish.places.length} places${state === 'changed' ? ' anew' : ''}`, true);
    }
    this.#loaded = true;
    this.#closed = wish.number;
    this.#users = wish.users.join();
  }

  async #open(): Promise<void> {
    this.#closed = '';
    // Who turned it off has taken it away; this is for a table that was put back at the same time.
    if (!this.#loaded) return;
    const table = await this.#nft.table();
    if (table !== undefined && !isOfAnother(realPathOf(this.#directory), table)) await this.#nft.load(REMOVAL);
    this.#loaded = false;
    this.#say('the guard is off', true);
  }

  #say(text: string, always = false): void {
    if (text === this.#said && !always) return;
    this.#said = text;
    this.#terminal.err(`weft: ${printable(text)}\n`);
  }

  #rest(): Promise<void> {
    return pause(ASK_MS, [this.#pause.signal, this.#signal]);
  }

  /** The kernel tells at once of a table that goes, as a reload of the host's firewall takes all. */
  #listen(): void {
    if (this.#signal.aborted) return;
    const child = spawn(this.#nft.program, ['monitor', 'destroy'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      signal: this.#signal,
      env: { LC_ALL: 'C' },
    });
    child.on('error', () => {});
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      if (!text.includes('weft_guard')) return;
      this.#touched = true;
      this.#pause.abort();
      this.#pause = new AbortController();
    });
    child.on('close', () => {
      setTimeout(() => this.#listen(), LISTEN_AGAIN_MS).unref();
    });
  }
}

/** Until one of the signals is aborted, for the time at most. Leaves nothing at a signal that lives on. */
export function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      for (const each of signals) each.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, signals.some(({ aborted }) => aborted) ? 0 : ms);
    for (const each of signals) each.addEventListener('abort', end, { once: true });
  });
}
