/** All that one sandbox has open outside the mesh, within bounds, and gone with it. */
import type { HostPort } from '@weft/proto';
import type { Logger } from 'pino';
import { adoptDatagrams } from '../bytes/inside/adopt-datagrams.ts';
import { NO_FILE } from '../bytes/open-files.ts';
import { type ConduitListener, listenHandle } from '../bytes/socket-listen.ts';
import type { Conduit } from '../words/conduit.ts';
import { carryDatagramsOut } from './datagrams.ts';
import type { EgressShare } from './egress-share.ts';
import { HeldPairs } from './held-pairs.ts';
import { OutsideCalls, type OutsideCallsOptions } from './outside-calls.ts';
import { carryOut } from './streams.ts';

/** Connections, and pairs of UDP, that one sandbox has open at once. */
export const EGRESS_BOUNDS = { streams: 1_024, pairs: 1_024 } as const;

/** Sockets of refused pairs that are kept so that their programs are not asked about at each datagram. */
const MOST_DEAF = 64;
const DEAF_MS = 1_000;

export interface EgressOptions extends OutsideCallsOptions {
  readonly log: Logger;
  /** Of all sandboxes of this host. */
  readonly share: EgressShare;
  readonly bounds?: { readonly streams: number; readonly pairs: number };
}

export interface EgressCounts {
  readonly streams: number;
  readonly pairs: number;
}

export class Egress {
  readonly #calls: OutsideCalls;
  readonly #log: Logger;
  readonly #bounds: { readonly streams: number; readonly pairs: number };
  readonly #held: HeldPairs;
  readonly #share: EgressShare;
  readonly #streams = new Set<Conduit>();
  #opening = 0;
  #deaf = 0;
  #listener: Pick<ConduitListener, 'close'> | undefined;
  #closed: boolean = false;

  constructor({ bounds = EGRESS_BOUNDS, share, ...options }: EgressOptions) {
    const { log } = options;
    this.#calls = new OutsideCalls(options);
    this.#log = log;
    this.#bounds = bounds;
    this.#held = new HeldPairs(bounds.pairs);
    this.#share = share;
    share.enter(this);
  }

  /** As `EgressShare` counts. */
  get open(): number {
    return this.#streams.size + this.#held.size + this.#opening;
  }

  get counts(): EgressCounts {
    return { streams: this.#streams.size, pairs: this.#held.size };
  }

  /** Takes the sandbox's listening socket, a `net.Native` that TPROXY brings connections to. Rejects with the system's error. */
  async listen(handle: object): Promise<void> {
    const { files } = this.#calls;
    const onError = (err: Error) => this.#log.warn({ event: 'egress-accept-failed', err }, 'accepting failed');
    const listener = await listenHandle(handle, { files, onError }, (client, { descriptor }, called) => {
      const { streams } = this.#bounds;
      const full = !files.spares(descriptor)
        ? NO_FILE
        : this.#streams.size >= streams
          ? `this sandbox already has ${streams} connections out of the mesh`
          : this.#share.full();
      this.#carry(client, { host: called.address, port: called.port }, full);
    });
    if (this.#closed) listener.close();
    else this.#listener = listener;
  }

  /** Takes a socket of a new pair, a `dgram.Native`, at the place that is called. */
  datagrams(handle: object, called: HostPort): void {
    const { pairs } = this.#bounds;
    const crowded = this.#closed || this.#opening >= pairs || !this.#held.makeRoom();
    const full = crowded
      ? `this sandbox already has ${pairs} UDP flows out of the mesh, all of them in use`
      : this.#share.full();
    this.#opening++;
    carryDatagramsOut(handle, called, this.#calls, this.#held, full, () => this.#leaveDeaf(handle))
      .catch((err: unknown) => this.#log.error({ event: 'egress-flow-failed', err }, 'a call failed'))
      .finally(() => this.#opening--);
  }

  /** The sandbox is gone: so are its ends of what is open, without a word. */
  close(): void {
    this.#closed = true;
    this.#share.leave(this);
    this.#listener?.close();
    for (const client of [...this.#streams]) client.reset();
    this.#held.closeAll('the sandbox ended');
  }

  /** What a refused program goes on to send is dropped for a while, before it is asked about anew. */
  #leaveDeaf(handle: object): void {
    const deaf = adoptDatagrams(handle);
    if (this.#deaf >= MOST_DEAF) deaf?.close();
    if (deaf === undefined || this.#deaf >= MOST_DEAF) return;
    this.#deaf++;
    setTimeout(() => {
      this.#deaf--;
      deaf.close();
    }, DEAF_MS).unref();
  }

  #carry(client: Conduit, called: HostPort, full: string | undefined): void {
    this.#streams.add(client);
    carryOut(client, called, this.#calls, full, () => this.#streams.delete(client)).catch((err: unknown) => {
      // One connection that goes wrong in an unforeseen way is its own end, not the agent's.
      client.reset();
      this.#streams.delete(client);
      this.#log.error({ event: 'egress-flow-failed', err }, 'a call failed');
    });
  }
}
