/**
 * UDP from this host's programs: one socket a listener, a flow for each client address and port that sends to it. Replies
 * leave from the very socket that was asked, so that the program hears them from the address it spoke to.
 */

import { createSocket, type Socket } from 'node:dgram';
import { listenerName } from '@weft/proto';
import type { Logger } from 'pino';
import type { DatagramOutput } from '../bytes/datagram-output.ts';
import { type DatagramSource, datagramOutput, receiveDatagrams } from '../bytes/datagrams.ts';
import { datagramDescriptorOf } from '../bytes/inside/datagram-output.ts';
import { type OpenFiles, outOfFiles } from '../bytes/open-files.ts';
import { assertFreeDatagramPort, type PortSharing } from '../bytes/port-sharing.ts';
import { endDatagrams, idleFor, UDP_IDLE_MS } from '../flows/flow.ts';
import type { Flow } from '../flows/registry.ts';
import { afterCut } from '../tunnel/after-cut.ts';
import { copyApart } from '../words/passing-memory.ts';
import { type Problems, passing } from '../words/problems.ts';
import { type Client, DatagramClients, ListenerClients } from './datagram-clients.ts';
import type { Admitter, Forwarder } from './forward.ts';
import type { ListenerSpec } from './listener-spec.ts';
import type { BoundListener } from './listeners.ts';
import type { OwnCallers } from './own-callers.ts';
import type { Speaker, Speakers } from './speakers.ts';

/** Who may send to a listener, and what they speak as. */
export interface DatagramSide {
  readonly speakers: Pick<Speakers, 'of' | 'same' | 'unknown'>;
  readonly callers: Pick<OwnCallers, 'refuses'>;
}

/** The side is this host's own, of its programs. */
export interface DatagramsOptions extends DatagramSide {
  readonly admitter: Admitter;
  readonly forwarder: Forwarder;
  readonly log: Logger;
  readonly files: OpenFiles;
  readonly problems: Problems;
  /** A flow without a datagram either way for this long is over, a conversation after twice as long, one for names sooner; `UDP_IDLE_MS` when left out. */
  readonly idleMs?: number;
  /** Clients known at once, on all listeners together. */
  readonly limit?: number;
}

/** Of an agent. */
export const MOST_CLIENTS = 16_384;
/** How often clients are looked over. */
const SWEEP_MS = 1_000;
/** Of clients that there was no room for, one is recorded in so many milliseconds: a flood must not become one of records. */
const RECORD_MS = 10;
/** Datagrams, and their bytes, that wait while a flow opens. */
const WAITING_DATAGRAMS = 16;
const WAITING_BYTES = 128 * 1024;
/** The same bytes of all clients together: a program that sends from many ports must not fill the memory meanwhile. */
const WAITING_TOTAL = 16 << 20;
/** A flow that failed is not tried again sooner, milliseconds: a client's next datagram must not make another record each time. */
const RETRY_MS = 1_000;
/**
 * A datagram of one who was looked up passes for so long after a look at whose the port is; then it waits for another look, which takes some tenths of a
 * millisecond. Half that long after the last, another begins ahead, so that whoever sends in a stream does not wait.
 */
const KNOWN_MS = 20;
/** Replies that the kernel has not taken yet, bytes a listener. */
const UNSENT_LIMIT = 4 << 20;
/** Asked of the kernel; it grants less where net.core.rmem_max says so. */
const RECEIVE_BUFFER = 1 << 20;

/** All UDP listeners of this agent: their flows share one bound and one sweep. */
export class OutboundDatagrams {
  readonly #admitter: Admitter;
  readonly #forwarder: Forwarder;
  readonly #own: DatagramSide;
  readonly #log: Logger;
  readonly #files: OpenFiles;
  readonly #idleMs: number;
  readonly #clients: DatagramClients;
  readonly #sweep: NodeJS.Timeout;
  /** Bytes that wait, of all clients. */
  #waiting = 0;
  #dropped = 0;
  #recordedMs = Number.NEGATIVE_INFINITY;

  constructor(options: DatagramsOptions) {
    this.#admitter = options.admitter;
    this.#forwarder = options.forwarder;
    this.#own = options;
    this.#log = options.log;
    this.#files = options.files;
    this.#idleMs = options.idleMs ?? UDP_IDLE_MS;
    const limit = options.limit ?? MOST_CLIENTS;
    const crowded = passing(options.problems, {
      code: 'too-many-clients',
      subject: 'udp',
      message:
        `programs of this host send to UDP services from more than the ${limit} ports that are known at once: the longest idle is let go for each ` +
        'new one, and new ones are refused while all wait for answers; let programs send from fewer ports, or more --workers',
    });
    this.#clients = new DatagramClients(limit, crowded);
    this.#sweep = setInterval(() => this.#expire(), Math.min(SWEEP_MS, Math.max(10, this.#idleMs / 8)));
    this.#sweep.unref();
  }

  /** Datagrams that were dropped here since the start: denied, failed, or over a bound. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Rejects with what bind says. `share` when several threads share the listener. */
  async bind(spec: ListenerSpec, share?: PortSharing): Promise<BoundListener> {
    if (share === 'first') await assertFreeDatagramPort('udp4', spec.address, spec.port);
    const shared = share === undefined ? {} : { reusePort: true };
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER, ...shared });
    return await new Promise((resolve, reject) => {
      const failed = (cause: Error) => {
        socket.close();
        reject(cause);
      };
      socket.once('error', failed);
      socket.bind({ port: spec.port, address: spec.address, exclusive: true }, () => {
        socket.off('error', failed);
        if (this.#files.spares(datagramDescriptorOf(socket))) resolve(this.serve(spec, socket, this.#own));
        else failed(outOfFiles('bind'));
      });
    });
  }

  /** To be called when rules or members changed: what was denied is asked anew at its next datagram. */
  reconsider(): void {
    for (const clients of this.#clients.listeners) {
      for (const client of clients) if (client.state === 'denied') clients.forget(client);
    }
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  /** Answers at a bound socket. */
  serve(spec: ListenerSpec, socket: Socket, side: DatagramSide): BoundListener {
    const clients = new ListenerClients(this.#clients, spec.port);
    // After a bind, an error is of one datagram, such as a reply to a program that is gone.
    socket.on('error', () => {});
    const output = datagramOutput(socket, UNSENT_LIMIT, () => {
      this.#dropped++;
    });
    receiveDatagrams(socket, (payload, from) => this.#arrived(spec, side, output, clients, payload, from));
    return {
      close: () => {
        socket.close();
        clients.close();
      },
    };
  }

  #arrived(
    spec: ListenerSpec,
    side: DatagramSide,
    output: DatagramOutput,
    clients: ListenerClients,
    payload: Buffer,
    from: DatagramSource,
  ): void {
    // Port 0 is none (RFC 768): nobody hears a reply to it, and the socket would throw.
    if (from.port === 0) {
      this.#dropped++;
      return;
    }
    const key = clients.keyOf(from);
    const now = performance.now();
    let client = clients.get(key);
    // Who was looked up and denied may have been too new to be known, and renews its idle time with each datagram.
    const mayRetry = client?.state === 'failed' || (client?.state === 'denied' && client.check !== undefined);
    if (client !== undefined && mayRetry && now - client.openedMs >= RETRY_MS) {
      clients.forget(client);
      client = undefined;
    }
    if (client === undefined) {
      if (side.callers.refuses(from.address, spec)) return;
      client = clients.enter(key, now);
      if (client === undefined) {
        this.#dropped++;
        this.#refuse(spec, side, now);
        return;
      }
      this.#identify(spec, side, client, from, (reply) => {
        output.send(reply, from.port, from.address);
      });
    }
    client.used(now);
    switch (client.state) {
      case 'open':
        if (client.waiting.length === 0 && this.#isKnown(client, now)) {
          if (client.flow !== undefined) client.flow.bytesSent += payload.length;
          client.conduit?.send(payload);
          return;
        }
        if (this.#waits(client, payload)) return;
        break;
      case 'opening':
        if (this.#waits(client, payload)) return;
    }
    this.#dropped++;
  }

  #waits(client: Client, payload: Buffer): boolean {
    if (!this.#mayWait(client, payload)) return false;
    client.waiting.push(copyApart(payload));
    client.waitingBytes += payload.length;
    this.#waiting += payload.length;
    return true;
  }

  /** Whether it is known whose the port is; where that is not so, or not for long, it is looked at again. */
  #isKnown(client: Client, now: number): boolean {
    const { check } = client;
    if (check === undefined) return true;
    if (now >= check.knownMs - KNOWN_MS / 2) void this.#check(client, check, now);
    return now < check.knownMs;
  }

  /** A port is no process: where a client's has come to be another's, its flow is over, and the next datagram is asked about anew. */
  async #check(client: Client, check: NonNullable<Client['check']>, now: number): Promise<void> {
    if (check.asking) return;
    check.asking = true;
    // Those that come later may be of whoever has the port by then.
    const covered = client.waiting.length;
    const same = await check.same();
    check.asking = false;
    if (client.state !== 'open') return;
    if (same) {
      check.knownMs = now + KNOWN_MS;
      const later = performance.now();
      this.#send(client, later < check.knownMs ? client.waiting.length : covered);
      if (client.waiting.length > 0) void this.#check(client, check, later);
      return;
    }
    this.#dropped += this.#takeWaiting(client).length;
    client.finish((flow) =>
      flow.end('closed', 'the socket that it came from is closed, or others may send from its port'),
    );
    client.of.forget(client);
  }

  /** The first that wait. */
  #send(client: Client, count: number): void {
    for (const payload of client.waiting.splice(0, count)) {
      client.waitingBytes -= payload.length;
      this.#waiting -= payload.length;
      if (client.flow !== undefined) client.flow.bytesSent += payload.length;
      client.conduit?.send(payload);
    }
  }

  #refuse(spec: ListenerSpec, { speakers }: DatagramSide, now: number): void {
    if (now - this.#recordedMs < RECORD_MS) return;
    this.#recordedMs = now;
    this.#admitter.local(
      spec,
      speakers.unknown,
      `this agent already knows ${this.#clients.limit} clients of UDP services, all of them waiting`,
    );
  }

  /** identify → decide → track → forward → record */
  #identify(
    spec: ListenerSpec,
    { speakers }: DatagramSide,
    client: Client,
    from: DatagramSource,
    reply: (payload: Buffer) => void,
  ): void {
    const place = { host: from.address, port: from.port };
    const speaker = speakers.of(spec, place);
    if (!(speaker instanceof Promise)) {
      this.#open(spec, client, speaker, reply);
      return;
    }
    const askedMs = performance.now();
    void speaker.then((told) => {
      const sockets = told.owner?.sockets ?? '';
      const same = () => speakers.same(spec, place, sockets);
      // One that is told by no socket cannot be looked at again: it may do what everybody may.
      const knownMs = sockets === '' ? Number.POSITIVE_INFINITY : askedMs + KNOWN_MS;
      client.check = { knownMs, asking: false, same };
      // Its listener may have been closed meanwhile.
      if (client.state === 'opening') this.#open(spec, client, told, reply);
      if (client.state !== 'opening') this.#dropped += this.#takeWaiting(client).length;
    });
  }

  #open(spec: ListenerSpec, client: Client, speaker: Speaker, reply: (payload: Buffer) => void): void {
    const admitted = this.#admitter.local(spec, speaker);
    if (!admitted.admitted) {
      client.state = admitted.refusal.code === 'denied' ? 'denied' : 'failed';
      return;
    }
    const { out } = admitted;
    const { flow } = out;
    client.flow = flow;
    const over = () => {
      this.#dropped += this.#takeWaiting(client).length;
      client.flow = undefined;
      client.conduit = undefined;
      client.state = flow.outcome === 'denied' ? 'denied' : 'failed';
    };
    const forwarding = this.#forwarder.datagrams(out).then((forwarded) => {
      if (forwarded === undefined) {
        over();
        return;
      }
      const { conduit, remote } = forwarded;
      client.conduit = conduit;
      client.hasOthers = () => this.#forwarder.hasOthers(out);
      client.state = 'open';
      let letGo = false;
      flow.onCut(() => {
        over();
        if (!remote) conduit.close();
        else
          afterCut(() => {
            if (!letGo) flow.cutAlone();
            conduit.close();
          });
      });
      conduit.attach({
        datagram: (payload) => {
          if (client.conduit !== conduit) return;
          const now = performance.now();
          client.heard(now);
          // Nor is a reply for whoever has the port by then.
          this.#isKnown(client, now);
          flow.bytesReceived += payload.length;
          reply(payload);
        },
        closed: (cause) => {
          letGo = true;
          endDatagrams(flow, cause);
          if (client.conduit === conduit) over();
        },
      });
      if (this.#isKnown(client, performance.now())) this.#send(client, client.waiting.length);
    });
    forwarding.catch((err: unknown) => {
      // One flow that goes wrong in an unforeseen way is its own end, not the agent's.
      flow.end('unreachable', 'an error inside the agent');
      over();
      this.#log.error({ event: 'outbound-flow-failed', listener: listenerName(spec), err }, 'a call failed');
    });
  }

  #mayWait(client: Client, { length }: Buffer): boolean {
    if (client.waiting.length >= WAITING_DATAGRAMS) return false;
    return client.waitingBytes + length <= WAITING_BYTES && this.#waiting + length <= WAITING_TOTAL;
  }

  #takeWaiting(client: Client): readonly Buffer[] {
    this.#waiting -= client.waitingBytes;
    client.waitingBytes = 0;
    return client.waiting.splice(0);
  }

  #expire(): void {
    const now = performance.now();
    for (const clients of this.#clients.listeners) {
      for (const client of clients) {
        if (client.forsaken(now)) client.finish(endForsaken);
        else if (client.idle(now, this.#idleMs))
          client.finish(client.served ? undefined : endIdle(now - client.usedMs));
        else continue;
        clients.forget(client);
      }
    }
  }
}

/** The destination has the flow, and may not be there to tell of it. */
function endForsaken(flow: Flow): void {
  flow.sever();
  flow.end('reset', 'no answer, and no sign of life from its host');
}

function endIdle(silentMs: number): (flow: Flow) => void {
  return (flow) => flow.end('closed', idleFor(silentMs));
}
