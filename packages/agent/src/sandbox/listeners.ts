/**
 * Where one sandbox's program calls services: a TCP listener for each port that any of them declares, on every address of the
 * agent's side, for only addresses of services lead there; and a socket for each place that takes datagrams.
 */
import type { Socket } from 'node:dgram';
import { isShortage, listenerName } from '@weft/proto';
import type { Logger } from 'pino';
import { addressSocket } from '../bytes/address-socket.ts';
import { closeHandle } from '../bytes/handle.ts';
import { datagramDescriptorOf } from '../bytes/inside/datagram-output.ts';
import { type OpenFiles, outOfFiles } from '../bytes/open-files.ts';
import { listenHandle } from '../bytes/socket-listen.ts';
import { shareListeners } from '../outbound/listener-share.ts';
import { type ListenerSpec, listenerKey } from '../outbound/listener-spec.ts';
import type { BoundListener } from '../outbound/listeners.ts';
import type { OutboundSide } from '../outbound/outbound.ts';
import type { SandboxSockets } from './sockets.ts';

/** Of one sandbox; the share of files that listeners of the host have bounds them all. */
export const MOST_LISTENERS = 1_024;
/** Sockets asked for at once. */
const AT_ONCE = 16;
const AGAIN_MS = 1_000;

export interface SandboxListenersOptions {
  readonly sockets: Pick<SandboxSockets, 'ask'>;
  readonly side: OutboundSide;
  readonly files: OpenFiles;
  readonly log: Logger;
  /** Listeners of the netmap of now. */
  readonly places: () => SandboxPlaces;
}

/** All places that a program may call, by what a socket knows of itself. */
export class SandboxPlaces {
  /** By `ADDRESS:PORT`. */
  readonly streams = new Map<string, ListenerSpec>();
  /** By the key of the listener. */
  readonly wanted: ReadonlyMap<string, ListenerSpec>;
  /** What is not listened on, such as `api (first 320 of 1024)`: more is wanted than one sandbox has. */
  readonly short: readonly string[];

  constructor(specs: ReadonlyMap<string, ListenerSpec>) {
    const wanted = new Map<string, ListenerSpec>();
    // Declared ones come first.
    for (const spec of specs.values()) {
      const stream = spec.protocol === 'tcp';
      if (stream) this.streams.set(`${spec.address}:${spec.port}`, spec);
      const key = stream ? `tcp ${spec.port}` : listenerKey(spec);
      if (!wanted.has(key)) wanted.set(key, spec);
    }
    const share = shareListeners(wanted, MOST_LISTENERS);
    this.wanted = share.listeners;
    this.short = share.short;
  }
}

export class SandboxListeners {
  readonly #options: SandboxListenersOptions;
  readonly #bound = new Map<string, BoundListener>();
  #again: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed: boolean = false;

  constructor(options: SandboxListenersOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#bound.size;
  }

  /** Makes those of the places of now the ones that are bound. Resolves when each is, or has failed and is tried again later. */
  async follow(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#closed) return;
    this.#running = this.#reconcile().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    for (const bound of this.#bound.values()) bound.close();
    this.#bound.clear();
  }

  async #reconcile(): Promise<void> {
    clearTimeout(this.#again);
    const { wanted } = this.#options.places();
    for (const [key, bound] of this.#bound) {
      if (wanted.has(key)) continue;
      this.#bound.delete(key);
      bound.close();
    }
    const missing = [...wanted].filter(([key]) => !this.#bound.has(key));
    let failed = false;
    for (let at = 0; at < missing.length && !this.#closed; at += AT_ONCE) {
      const done = await Promise.all(missing.slice(at, at + AT_ONCE).map(([key, spec]) => this.#bind(key, spec)));
      failed ||= done.includes(false);
    }
    if (failed && !this.#closed) this.#again = setTimeout(() => void this.follow(), AGAIN_MS).unref();
  }

  async #bind(key: string, spec: ListenerSpec): Promise<boolean> {
    const { files, log } = this.#options;
    try {
      const bound = await (spec.protocol === 'tcp' ? this.#bindStreams(spec.port) : this.#bindDatagrams(spec));
      if (this.#closed) bound.close();
      else this.#bound.set(key, bound);
      return true;
    } catch (err) {
      if (isShortage(err)) files.ranOut();
      // A sandbox that is gone has no listeners, and its end is told elsewhere.
      if (!this.#closed)
        log.warn(
          { event: 'sandbox-listen-failed', listener: listenerName(spec), err },
          'a sandbox is not listened for; tried again',
        );
      return false;
    }
  }

  async #bindStreams(port: number): Promise<BoundListener> {
    const { sockets, side, files, places, log } = this.#options;
    const handle = await sockets.ask({ where: 'agent', kind: 'tcp-listen', host: '0.0.0.0', port });
    const onError = (err: Error) =>
      log.warn({ event: 'accept-failed', listener: `sandbox:${port}`, err }, 'accepting failed');
    return await listenHandle(handle, { files, onError }, (client, remote, called) => {
      const spec = places().streams.get(`${called.address}:${called.port}`);
      // Of the services at this port none has that address.
      if (spec === undefined) client.reset();
      else side.stream(client, remote, spec);
    });
  }

  async #bindDatagrams(spec: ListenerSpec): Promise<BoundListener> {
    const { sockets, side, files } = this.#options;
    const handle = await sockets.ask({ where: 'agent', kind: 'udp', host: spec.address, port: spec.port });
    const socket = await socketOf(handle);
    if (files.spares(datagramDescriptorOf(socket))) return side.datagrams(spec, socket);
    socket.close();
    throw outOfFiles('bind');
  }
}

/** A bound one, of IPv4. Rejects with the system's error; the handle is closed then. */
export function socketOf(handle: object): Promise<Socket> {
  const socket = addressSocket('udp4');
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      socket.off('error', fail);
      socket.close();
      closeHandle(handle);
      reject(cause as Error);
    };
    // It reads from now on, and who handed it over has a copy: what that makes it fail with comes at any time, also before who takes it listens.
    socket.on('error', () => undefined);
    socket.once('error', fail);
    try {
      // As documented of handles that a child process is sent.
      (socket.bind as (handle: unknown, done: () => void) => Socket).call(socket, handle, () => {
        socket.off('error', fail);
        resolve(socket);
      });
    } catch (cause) {
      fail(cause);
    }
  });
}
