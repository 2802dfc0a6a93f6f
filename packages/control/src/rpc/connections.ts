/**
 * The connections of the gRPC port, by who they are of: one that carries a proved call keeps its place; one that carries
 * none makes room for newcomers, and one that asks for nothing at all is let go soon.
 */
import type { Socket } from 'node:net';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { fileLimit, reservedFiles } from '@weft/proto';
import { Admission, type AdmissionLimits, type Seat } from '@weft/proto/bounds';
import { type ProvedCalls, streamOf } from './call-stream.ts';

/**
 * In all: more than agents a network may have, if there are files for them. Many may stand behind one address, but nobody
 * there must take every place. The reserve is for what control keeps on disk, and for the dashboard.
 */
const FILES = fileLimit();
const MOST = Math.min(32_768, FILES - 2 * reservedFiles(FILES));
const LIMITS: AdmissionLimits = { most: MOST, mostOfOne: Math.ceil(MOST / 4) };
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

export class Connections {
  readonly #admission: Admission;
  readonly #firstCallMs: number;
  /** By HOST:PORT of the caller, as grpc-js writes it. */
  readonly #open = new Map<string, Open>();

  constructor(limits: AdmissionLimits = LIMITS, firstCallMs: number = FIRST_CALL_MS) {
    this.#admission = new Admission(limits);
    this.#firstCallMs = firstCallMs;
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

  /** Keeps the place of a connection for as long as a proved call is under way on it. To stand before adminAuth. */
  keepSeats(proved: ProvedCalls): ServerInterceptor {
    return (_method, call) => {
      const stream = streamOf(call);
      const open = this.#open.get(call.getPeer());
      if (stream === undefined || open === undefined) return new ServerInterceptingCall(call);
      clearTimeout(open.firstCall);
      if (open.serving === 0) open.seat.idle();
      proved.onProved(stream, () => {
        open.serving += 1;
        open.seat.busy();
        stream.once('close', () => {
          open.serving -= 1;
          if (open.serving === 0) open.seat.idle();
        });
      });
      return new ServerInterceptingCall(call);
    };
  }
}
