/**
 * Looks each second at what listens on this host. The kernel's table of IPv6 is read through all places where a connection could be, tens of
 * milliseconds on a host of much memory, whoever is connected; asked for those who listen alone, it looks at no other.
 */

import { textAddress } from '../owner/kernel-form.ts';
import { type KernelSockets, provenKernel } from '../owner/kernel-sockets.ts';
import { type Listener, ListenerTable, readListenerTable } from './listener-table.ts';

export interface ListenerReaderOptions {
  /** Asked at each look: which are this agent's own then, and no program's. */
  readonly own: () => (listener: Listener) => boolean;
  /** Whether the kernel may be asked by node:ffi. */
  readonly native: boolean;
  readonly signal: AbortSignal;
  readonly readFiles?: typeof readListenerTable;
  readonly prove?: () => Promise<Pick<KernelSockets, 'takers' | 'close'> | undefined>;
}

export class ListenerReader {
  readonly #options: ListenerReaderOptions;
  #kernel: Pick<KernelSockets, 'takers' | 'close'> | undefined;
  /** Of how many tables the files were, when they were read last: without IPv6 there are fewer. */
  #tables: number | undefined;

  constructor(options: ListenerReaderOptions) {
    this.#options = options;
  }

  /** As `readListenerTable`: by the files at first, and whenever the kernel does not answer to be relied on. */
  async read(): Promise<ListenerTable | undefined> {
    const { own, readFiles = readListenerTable } = this.#options;
    const isOwn = own();
    const asked = this.#ask(isOwn);
    if (asked !== undefined) return asked;
    const first = this.#tables === undefined;
    const table = await readFiles(isOwn);
    this.#tables = table?.tables;
    if (first && table !== undefined) this.#prove();
    return table;
  }

  #ask(isOwn: (listener: Listener) => boolean): ListenerTable | undefined {
    if (this.#kernel === undefined || this.#tables === undefined) return undefined;
    const listeners: Listener[] = [];
    for (const protocol of ['tcp', 'udp'] as const) {
      const takers = this.#kernel.takers(protocol);
      if (takers === undefined) return undefined;
      for (const { address, port } of takers) {
        const listener = { protocol, address: textAddress(address), port };
        if (!isOwn(listener)) listeners.push(listener);
      }
    }
    return new ListenerTable(listeners, this.#tables);
  }

  #prove(): void {
    const { native, signal, prove = provenKernel } = this.#options;
    if (!native || signal.aborted) return;
    void prove().then((kernel) => {
      if (kernel === undefined) return;
      if (signal.aborted) {
        kernel.close();
        return;
      }
      this.#kernel = kernel;
      const close = () => {
        this.#kernel = undefined;
        kernel.close();
      };
      signal.addEventListener('abort', close, { once: true });
    });
  }
}
