/**
 * The connections of the gRPC port, by who they are of: one that carries a proved call keeps its place; one that carries
 * none makes room for newcomers, and one that asks for nothing at all is let go soon.
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { fileLimit, reservedFiles } from '@weft/proto';
import { Admission, type AdmissionLimits, type Seat } from '@weft/proto/bounds';
import { agentService } from '@weft/proto/wire';
import { type ProvedCalls, streamOf } from './call-stream.ts';

/**
 * In all: more than agents a network may have, if there are files for them. Many may stand behind one address, but nobody
 * there must take every place. A reserve each is for what control keeps on disk, for its flows, and for the dashboard and metrics.
 */
const FILES = fileLimit();
const MOST = Math.min(32_768, FILES - 3 * reservedFiles(FILES));
/** Half a TLS handshake takes 60 KiB: of those that prove nothing, more than can be answered within FIRST_CALL_MS are not held. */
const MOST_WAITING = Math.min(4_096, MOST);
const LIMITS: AdmissionLimits = { most: MOST, mostOfOne: Math.ceil(MOST / 4), mostWaiting: MOST_WAITING };
/** Of those, for agents: they stay, and the rest is for who comes and goes, an operator above all. */
export const MOST_AGENTS: number = MOST - Math.min(64, Math.ceil(MOST / 8));
/** From the connection to the first call on it, TLS and all. */
const FIRST_CALL_MS = 10_000;

interface Open {
  readonly seat: Seat;
  readonly firstCall: NodeJS.Timeout;
  /** Proved calls under way. */
  serving: number;
}

type Closing = Pick<EventEmitter, 'once'>;

export class Connections {
  readonly #admission: Admission;
  readonly #firstCallMs: number;
  readonly #mostAgents: number;
  /** Streams of agents that keep a connection in its place. */
  #agents = 0;
  /** Those that may not yet, the longest waiting first. */
  readonly #waiting = new Map<Closing, () => void>();
  /** By HOST:PORT of the caller, as grpc-js writes it. */
  readonly #open = new Map<string, Open>();

  constructor(limits: AdmissionLimits = LIMITS, firstCallMs: number = FIRST_CALL_MS, mostAgents: number = MOST_AGENTS) {
    this.#admission = new Admission(limits);
    this.#firstCallMs = firstCallMs;
    this.#mostAgents = mostAgents;
  }

  /** False when there is no room. It leaves by itself when it is closed. */
  enter(connection: Socket): boolean {
    const { remoteAddress = '', remotePort = 0 } = connection;
    const seat = this.#admission.enter(remoteAddress, () => connection.destroy());
    if (seat === undefined) return false;
    const peer = `${remoteAddress}:${remotePort}`;
    const firstCall = setTimeout(() => connection.destroy(), this.#firstCallMs).unref();
    this.#open.set(peer, { seat, firstCall, serving: 0 });
    connection.once('close', () => {
      clearTimeout(firstCall);
      seat.leave();
      this.#open.delete(peer);
    });
    return true;
  }

  /**
   * Keeps the place of a connection for as long as a proved call is under way on it; agents' streams do so for their part of the
   * places only, half-dead ones of agents that came again among them. To stand before adminAuth.
   */
  keepSeats(proved: ProvedCalls): ServerInterceptor {
    return (method, call) => {
      const stream = streamOf(call);
      const open = this.#open.get(call.getPeer());
      if (stream === undefined || open === undefined) return new ServerInterceptingCall(call);
      clearTimeout(open.firstCall);
      if (open.serving === 0) open.seat.idle();
      proved.onProved(stream, () => {
        if (method.path === agentService.connect.path) this.#keepAgent(stream, open);
        else this.#keep(stream, open);
      });
      return new ServerInterceptingCall(call);
    };
  }

  #keep(stream: Closing, open: Open): void {
    open.serving += 1;
    open.seat.busy();
    stream.once('close', () => {
      open.serving -= 1;
      if (open.serving === 0) open.seat.idle();
    });
  }

  /** Once their part of the places has room for it. */
  #keepAgent(stream: Closing, open: Open): void {
    const keep = () => {
      this.#agents += 1;
      this.#keep(stream, open);
    };
    if (this.#agents < this.#mostAgents) keep();
    else this.#waiting.set(stream, keep);
    stream.once('close', () => {
      if (this.#waiting.delete(stream)) return;
      this.#agents -= 1;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next[0]);
      next[1]();
    });
  }
}
