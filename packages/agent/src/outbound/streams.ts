/** TCP from this host's programs: one listener a declared port, one story a connection. */
import { defined, listenerName } from '@weft/proto';
import type { Logger } from 'pino';
import { NO_FILE, type OpenFiles } from '../bytes/open-files.ts';
import type { PortSharing } from '../bytes/port-sharing.ts';
import { type ListenOptions, listenConduits, type Remote } from '../bytes/socket-listen.ts';
import { splice } from '../bytes/splice.ts';
import { endingOf, endingWith } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import type { CallerConduit, Conduit, ConduitEvents } from '../words/conduit.ts';
import { type EarlyData, MAXIMUM_EARLY } from '../words/opening.ts';
import type { Call } from './call.ts';
import type { Admitter, Forwarder } from './forward.ts';
import type { ListenerSpec } from './listener-spec.ts';
import type { BoundListener } from './listeners.ts';
import type { OwnCallers } from './own-callers.ts';
import type { Speaker, Speakers } from './speakers.ts';

export interface StreamsOptions {
  readonly log: Logger;
  readonly admitter: Admitter;
  readonly forwarder: Forwarder;
  readonly speakers: Pick<Speakers, 'of'>;
  readonly files: OpenFiles;
  /** When several threads share the listener. */
  readonly share?: PortSharing;
  readonly callers: Pick<OwnCallers, 'refuses'>;
  /** Where connections may be taken instead. */
  readonly elsewhere?: ((spec: ListenerSpec) => ListenOptions['elsewhere']) | undefined;
}

/** Listens on a listener. Rejects with what bind says. */
export function bindStreams(spec: ListenerSpec, options: StreamsOptions): Promise<BoundListener> {
  const { log, share, files, elsewhere } = options;
  const { address: host, port } = spec;
  const where = { host, port, files, keepsUrgent: true, elsewhere: elsewhere?.(spec), ...defined({ share }) };
  const onError = (err: Error) =>
    log.warn({ event: 'accept-failed', listener: listenerName(spec), err }, 'accepting failed');
  return listenConduits({ ...where, onError }, (client, remote) => takeCall(client, remote, spec, options));
}

/** A connection from whoever came there. */
export function takeCall(client: CallerConduit, remote: Remote, spec: ListenerSpec, options: StreamsOptions): void {
  if (options.callers.refuses(remote.address, spec)) client.reset();
  else takeStream(client, remote, spec, options);
}

/** A connection from who may call there. */
export function takeStream(
  client: CallerConduit,
  { descriptor, address, port }: Remote,
  spec: ListenerSpec,
  options: Pick<StreamsOptions, 'admitter' | 'forwarder' | 'speakers' | 'files' | 'log'>,
): void {
  const full = options.files.spares(descriptor) ? undefined : NO_FILE;
  const speaker = options.speakers.of(spec, { host: address, port });
  carryStream(client, spec, options, speaker, full).catch((err: unknown) => {
    // One connection that goes wrong in an unforeseen way is its own end, not the agent's.
    client.reset();
    options.log.error({ event: 'outbound-flow-failed', listener: listenerName(spec), err }, 'a call failed');
  });
}

/** identify → decide → track → forward → record */
export async function carryStream(
  client: CallerConduit,
  call: Call,
  { admitter, forwarder }: Pick<StreamsOptions, 'admitter' | 'forwarder'>,
  speaker: Speaker | Promise<Speaker>,
  full?: string,
): Promise<void> {
  const calledMs = performance.now();
  const known = speaker instanceof Promise ? await speaker : speaker;
  // The program is promised an answer within so long of its call, and to look up who calls may take some of that.
  const tookMs = known === speaker ? 0 : performance.now() - calledMs;
  // Whoever resets gives its port up, and what it said can be read still: the answer may be of who has the port by now.
  if (known.owner !== undefined && !client.connected) {
    refuse(client, known);
    return;
  }
  const admitted = admitter.local(call, known, full);
  if (!admitted.admitted) {
    refuse(client, known);
    return;
  }
  const { flow } = admitted.out;
  const heard = new HeardClient(client);
  const forwarded = await endingWith(flow, forwarder.stream(admitted.out, undefined, heard, tookMs));
  if (forwarded === undefined) {
    refuse(client, known);
    return;
  }
  const { conduit, remote, early } = forwarded;
  flow.bytesSent += early;
  const upstream = new FlowConduit(conduit, flow, { remote, cut: () => client.reset() });
  splice(heard.from(early), upstream, (result) => {
    flow.end(...endingOf(result));
    known.left?.();
  });
}

function refuse(client: CallerConduit, { left }: Speaker): void {
  client.reset();
  left?.();
}

/**
 * A caller that is heard, once somebody asks, before its flow is open; then its conduit. Not more is kept than goes with an opening,
 * and what one read brings beyond that.
 */
export class HeardClient implements Conduit, EarlyData {
  readonly #client: Conduit;
  #take: ((piece: Buffer) => void) | undefined;
  /** Heard, and not handed to the flow. */
  readonly #heard: Buffer[] = [];
  #bytes = 0;
  #listening: boolean = false;
  #user: ConduitEvents | undefined;
  #paused: boolean = true;
  #ended: boolean = false;
  #closed: Parameters<ConduitEvents['closed']> | undefined;

  constructor(client: Conduit) {
    this.#client = client;
  }

  follow(take: (piece: Buffer) => void): void {
    this.#take = take;
    for (const piece of this.#heard) this.#tell(piece);
    if (!this.#listening) this.#listen();
    else if (this.#take !== undefined && this.#bytes < MAXIMUM_EARLY) this.#client.resume();
  }

  leave(): void {
    this.#take = undefined;
    this.#client.pause();
  }

  /** The caller without its first bytes, which have gone: itself, where nobody listened. */
  from(gone: number): Conduit {
    if (!this.#listening) return this.#client;
    for (let left = gone; left > 0; ) {
      const piece = this.#heard.shift();
      if (piece === undefined) throw new RangeError('more has gone than was heard');
      if (piece.length > left) this.#heard.unshift(piece.subarray(left));
      left -= piece.length;
    }
    return this;
  }

  attach(user: ConduitEvents): void {
    this.#user = user;
    this.#paused = false;
    // Not before its user has done with attaching it to the flow.
    queueMicrotask(() => this.#deliver());
  }

  write(piece: Buffer, owned: boolean): boolean {
    return this.#client.write(piece, owned);
  }

  end(): void {
    this.#client.end();
  }

  reset(): void {
    this.#client.reset();
    this.#endUnheard();
  }

  resetWhenWritten(): void {
    this.#client.resetWhenWritten();
    this.#endUnheard();
  }

  pause(): void {
    this.#paused = true;
    this.#client.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  #listen(): void {
    this.#listening = true;
    this.#client.attach({
      data: (piece, owned) => {
        if (this.#user !== undefined && this.#heard.length === 0) this.#user.data(piece, owned);
        else this.#hear(owned ? piece : Buffer.from(piece));
      },
      end: () => {
        this.#ended = true;
        this.#deliver();
      },
      drain: () => this.#user?.drain(),
      closed: (...how) => {
        this.#closed = how;
        this.#deliver();
      },
    });
  }

  #hear(piece: Buffer): void {
    this.#heard.push(piece);
    this.#bytes += piece.length;
    this.#tell(piece);
    if (this.#bytes >= MAXIMUM_EARLY) this.#client.pause();
  }

  /** Whoever follows may leave at each piece. */
  #tell(piece: Buffer): void {
    this.#take?.(piece);
  }

  /** What is kept of a caller that is gone is for nobody any more. */
  #endUnheard(): void {
    if (this.#closed === undefined) return;
    this.#heard.length = 0;
    // Its user has not done with what made it do so.
    queueMicrotask(() => this.#deliver());
  }

  /** What its user has not been told, in order: what was said comes before how it ended. */
  #deliver(): void {
    const user = this.#user;
    if (user === undefined) return;
    while (!this.#paused) {
      const piece = this.#heard.shift();
      if (piece === undefined) break;
      user.data(piece, true);
    }
    if (this.#closed !== undefined) {
      if (this.#heard.length > 0) return;
      this.#user = undefined;
      if (this.#ended) user.end();
      user.closed(...this.#closed);
    } else if (!this.#paused && this.#ended) {
      this.#ended = false;
      user.end();
    } else if (!this.#paused) this.#client.resume();
  }
}
