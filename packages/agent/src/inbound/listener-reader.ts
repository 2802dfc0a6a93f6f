/**
 * Looks each second at what listens on this host. The kernel's table of IPv6 is read through all places where a connection could be, tens of
 * milliseconds on a host of much memory, whoever is connected; asked for those who listen alone, it looks at no other. It is asked by the thread that
 * carries bytes, and anybody on the host may have many sockets: where that would hold it up, the files are read, beside it.
 */
import { nodeFfi } from '@weft/proto/house';
import type { Logger } from 'pino';
import { textAddress } from '../owner/kernel-form.ts';
import { type KernelSockets, provenKernel } from '../owner/kernel-sockets.ts';
import { type Listener, ListenerTable, readListenerTable } from './listener-table.ts';

/** Of one look by the kernel: sockets told, and how long it takes. A socket takes some 5 µs. */
const MOST_TOLD = 2_000;
const MOST_MS = 10;
/** Where the kernel did not answer within these, or to be relied on, the files are read for so long. */
const FILES_MS = 600_000;
const SO = 'so who listens here is read from its files for ten minutes, which takes milliseconds of a core each second';
/** Of a host that is large or busy there is nothing to be mended. */
const PASSED_OVER = {
  many: `the kernel has more than ${MOST_TOLD.toLocaleString('en')} sockets of this host to list that take calls or datagrams, ${SO}`,
  late: `the kernel took more than ${MOST_MS} ms to list who listens here, ${SO}`,
} as const;
const NOT_RELIED_ON = {
  unproven: `the kernel cannot be asked, or tells of this agent's own sockets otherwise than is so, as without tcp_diag, ${SO}`,
  untold: `the kernel has not listed all sockets of this host that take calls or datagrams, as it does not those of UDP without udp_diag, ${SO}`,
} as const;

type Cause = keyof typeof PASSED_OVER | keyof typeof NOT_RELIED_ON;

export interface ListenerReaderOptions {
  /** Asked at each look: which are this agent's own then, and no program's. */
  readonly own: () => (listener: Listener) => boolean;
  /** Whether the kernel may be asked by node:ffi. */
  readonly native: boolean;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly signal: AbortSignal;
  readonly readFiles?: typeof readListenerTable;
  readonly prove?: () => Promise<Pick<KernelSockets, 'takers' | 'close'> | undefined>;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export class ListenerReader {
  readonly #options: ListenerReaderOptions;
  readonly #now: () => number;
  #kernel: Pick<KernelSockets, 'takers' | 'close'> | undefined;
  /** Before that, no kernel is proven anew: of looks at once the first begins it. */
  #proveFromMs = Number.NEGATIVE_INFINITY;
  /** Of how many tables the files were, when they were read last: without IPv6 there are fewer. */
  #tables: number | undefined;
  /** Why the kernel is not asked, as it was told. */
  #said: Cause | undefined;

  constructor(options: ListenerReaderOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    options.signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  /** As `readListenerTable`: by the files at first, and for ten minutes where the kernel did not answer in little time, or not to be relied on. */
  async read(): Promise<ListenerTable | undefined> {
    const { own, readFiles = readListenerTable } = this.#options;
    const isOwn = own();
    const asked = this.#ask(isOwn);
    if (asked !== undefined) return asked;
    const table = await readFiles(isOwn);
    this.#tables = table?.tables;
    if (table !== undefined) this.#prove();
    return table;
  }

  #ask(isOwn: (listener: Listener) => boolean): ListenerTable | undefined {
    if (this.#kernel === undefined || this.#tables === undefined) return undefined;
    const untilMs = this.#now() + MOST_MS;
    const listeners: Listener[] = [];
    let before = 0;
    let [isMany, isLate] = [false, false];
    const goesOn = (told: number): boolean => {
      isMany = before + told > MOST_TOLD;
      isLate = this.#now() > untilMs;
      return !isMany && !isLate;
    };
    for (const protocol of ['tcp', 'udp'] as const) {
      const takers = this.#kernel.takers(protocol, goesOn);
      if (takers === undefined) {
        this.#giveUp(isMany ? 'many' : isLate ? 'late' : 'untold');
        return undefined;
      }
      before += takers.length;
      for (const { address, port, socket } of takers) {
        const listener = { protocol, address: textAddress(address), port, uid: socket.uid };
        if (!isOwn(listener)) listeners.push(listener);
      }
    }
    this.#goesOn();
    return new ListenerTable(listeners, this.#tables);
  }

  /** What the kernel has still to say of a list goes with the socket. */
  #giveUp(cause: Cause): void {
    this.#say(cause);
    this.#close();
    this.#proveFromMs = this.#now() + FILES_MS;
  }

  #say(cause: Cause): void {
    if (cause === this.#said) return;
    this.#said = cause;
    const { log } = this.#options;
    if (cause === 'many' || cause === 'late') log.info({ event: 'listeners-by-files', cause }, PASSED_OVER[cause]);
    else log.warn({ event: 'listeners-by-files', cause }, NOT_RELIED_ON[cause]);
  }

  #goesOn(): void {
    if (this.#said === undefined) return;
    this.#said = undefined;
    this.#options.log.info({ event: 'listeners-by-kernel' }, 'the kernel lists who listens here again');
  }

  #prove(): void {
    const { native, signal, prove = provenKernel } = this.#options;
    const now = this.#now();
    if (!native || signal.aborted || this.#kernel !== undefined || now < this.#proveFromMs) return;
    if (nodeFfi() === undefined) return;
    // Where it fails, that may be for a reason that passes, as without a file left.
    this.#proveFromMs = now + FILES_MS;
    void prove().then((kernel) => {
      if (signal.aborted || this.#kernel !== undefined) kernel?.close();
      else if (kernel === undefined) this.#say('unproven');
      else this.#kernel = kernel;
    });
  }

  #close(): void {
    this.#kernel?.close();
    this.#kernel = undefined;
  }
}
