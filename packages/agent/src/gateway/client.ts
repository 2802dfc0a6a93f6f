/**
 * One public connection: its requests one after the other, and the connections to services that belong to it, until its
 * end. Those are not shared between clients, so each flow has one client address in its record, and its verdict is that
 * client's alone.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { plainAddress } from '@weft/proto';
import type { Seat } from '@weft/proto/bounds';
import { Deadline } from '../bytes/deadline.ts';
import { resetSocket } from '../bytes/net-transport.ts';
import { IngressError } from './errors.ts';
import { Pace } from './pace.ts';
import type { GatewayLimits, OpenIngress } from './types.ts';

/** Requests sent ahead of their responses that are kept waiting. More than any client of today sends. */
const MAX_WAITING = 32;

export class Client {
  readonly #socket: Socket;
  readonly #seat: Seat;
  readonly #waiting: (() => void)[] = [];
  readonly agent: UpstreamAgent;
  readonly address: string;
  #busy: boolean = false;
  /** Bytes that have passed since it speaks another protocol, as last seen, and when they were fewer. */
  #passed: number = 0;
  #movedMs: number | undefined;
  #raw: boolean = false;
  /** Gives the current request up, because nothing has moved for too long; undefined when there is none. */
  giveUp: (() => void) | undefined;
  /** The current request's. */
  response: ServerResponse | undefined;
  /** The current request, once its body is to come. */
  #body: IncomingMessage | undefined;
  /** How that comes, and how the client takes what it is sent. */
  readonly #coming: Pace;
  readonly #going: Pace;
  readonly #limits: GatewayLimits;

  constructor(socket: Socket, seat: Seat, open: OpenIngress, limits: GatewayLimits) {
    this.#socket = socket;
    this.#seat = seat;
    this.#limits = limits;
    this.#coming = new Pace(limits.stallMs);
    this.#going = new Pace(limits.stallMs);
    // An IPv4 client of a listener on `::`.
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.agent = new UpstreamAgent(open, this.address, limits.openMs);
    socket.on('close', () => {
      seat.leave();
      this.#waiting.length = 0;
      this.agent.close();
    });
  }

  /** Whether a response is owed. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Runs a request when those before it are answered: a request may depend on what the one before it did. `run` is told
   * how to say that its response is over.
   */
  enqueue(run: (over: () => void) => void): void {
    if (!this.#busy) {
      this.#busy = true;
      this.#seat.busy();
      run(() => this.#next());
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(() => run(() => this.#next()));
    } else {
      this.#socket.destroy();
    }
  }

  /** What is sent from here on is the body of this request. */
  begins(request: IncomingMessage): void {
    this.#body = request;
    this.#coming.look(performance.now(), this.#socket.bytesRead);
  }

  /**
   * Ends who keeps others waiting: the service for a body, or the gateway with an answer. To be called every second or so; `room`
   * asks for a place, which is had sooner.
   */
  look(nowMs: number, room: boolean, refused: (response: ServerResponse) => void): void {
    if (this.#movedMs !== undefined) {
      this.#lookRaw(nowMs);
      return;
    }
    const { bodyMs, stallMs, untakenMs } = this.#limits;
    // What the service does not take is not awaited.
    if (this.#body === undefined || this.#body.complete || this.#body.isPaused()) this.#coming.rest();
    else this.#coming.look(nowMs, this.#socket.bytesRead);
    if (this.#socket.writableLength === 0) this.#going.rest();
    else this.#going.look(nowMs, this.#socket.bytesWritten - this.#socket.writableLength);
    const coming = this.#coming;
    const going = this.#going;
    if (going.stillMs > (room ? stallMs : untakenMs) || (room && going.slowMs > bodyMs)) {
      // What the kernel holds for it is not to be held any longer either.
      resetSocket(this.#socket);
    } else if (this.response?.headersSent === false) {
      if (coming.stillMs <= stallMs && coming.slowMs <= (room ? bodyMs : stallMs)) return;
      refused(this.response);
      part(this.#socket);
    } else if (room && coming.slowMs > bodyMs) {
      // Answered before it has said all: who talks so may pause, but not in another's place.
      this.#socket.destroy();
    }
  }

  #next(): void {
    this.giveUp = undefined;
    this.response = undefined;
    this.#body = undefined;
    this.#coming.rest();
    const run = this.#waiting.shift();
    if (run !== undefined) {
      run();
      return;
    }
    this.#busy = false;
    this.#seat.idle();
  }

  /** What it is sent from here on is no response of node's. */
  speaksRaw(): void {
    this.#raw = true;
  }

  /** Ends it as it is; by a reset amid what it is sent, which a client that is told no length would take for the whole. */
  cut(): void {
    const { response } = this;
    const amid = this.#raw
      ? !this.#socket.writableFinished
      : response?.headersSent === true && !response.writableFinished;
    if (amid) resetSocket(this.#socket);
    else this.#socket.destroy();
  }

  /** The connection speaks another protocol from here on, and is served until it closes, or makes room for another such. */
  upgraded(): void {
    this.#seat.busy();
    this.#lookRaw(performance.now());
  }

  /** Since when nothing has passed of what it speaks since it was upgraded; undefined for one that was not. */
  get silentSinceMs(): number | undefined {
    return this.#movedMs;
  }

  #lookRaw(nowMs: number): void {
    const passed = this.#socket.bytesRead + this.#socket.bytesWritten - this.#socket.writableLength;
    if (this.#movedMs === undefined || passed !== this.#passed) this.#movedMs = nowMs;
    this.#passed = passed;
  }
}

/** How long a connection waits for the client's next request. Shorter than the 5 s after which common servers close. */
const IDLE_MS = 3000;
/** How long a service has to end its half of a connection that is done. */
const PART_MS = 1000;

type Created = (error: Error | null, duplex: Duplex) => void;

/** A connection between two requests, and what is done when the service speaks or ends meanwhile. */
interface Idle {
  readonly duplex: Duplex;
  readonly fail: () => void;
  readonly end: () => void;
  readonly timer: NodeJS.Timeout;
}

/** An agent in the sense of node:http: request options name the service as `host`. Keeps at most one idle connection. */
export class UpstreamAgent extends http.Agent {
  readonly #open: OpenIngress;
  readonly #openMs: number;
  readonly #clientAddress: string;
  readonly #openings = new Set<Deadline>();
  #closed: boolean = false;
  #idle: Idle | undefined;

  constructor(open: OpenIngress, clientAddress: string, openMs: number) {
    super({ keepAlive: true, maxFreeSockets: 1 });
    this.#open = open;
    this.#openMs = openMs;
    this.#clientAddress = clientAddress;
  }

  override createConnection(options: http.ClientRequestArgs, created: Created): undefined {
    const { host, port } = options;
    this.#connect(host ?? '', Number(port)).then(
      (duplex) => created(null, duplex),
      // node's own type asks for a stream beside the error, and its code for none.
      (error: unknown) => (created as (error: Error) => void)(asError(error)),
    );
  }

  async #connect(service: string, port: number): Promise<Duplex> {
    if (this.#closed) throw new IngressError('client-gone');
    const deadline = new Deadline(this.#openMs);
    this.#openings.add(deadline);
    try {
      const opened = this.#open(service, port, this.#clientAddress, deadline).then((result) => {
        if (!result.opened) return result;
        // Between two owners a stream has no listener, and an error without listener ends the process.
        result.duplex.on('error', () => {});
        // node's agent asks it of what it uses again, as it would a socket.
        if (!('ref' in result.duplex)) Object.assign(result.duplex, { ref: () => {} });
        endBehindService(result.duplex);
        // Nobody waits any more for what comes after the end.
        if (deadline.over) result.duplex.destroy();
        return result;
      });
      const result = await deadline.race(opened);
      if (!result.opened) throw new IngressError(result.outcome);
      return result.duplex;
    } catch (error) {
      if (error instanceof IngressError) throw error;
      throw new IngressError(deadline.late ? 'timeout' : 'unreachable', { cause: error });
    } finally {
      deadline.close();
      this.#openings.delete(deadline);
    }
  }

  /** node asks before it keeps a connection for the next request. */
  override keepSocketAlive(duplex: Duplex): boolean {
    if (this.#closed) return false;
    this.#dropIdle();
    // A byte that nobody asked for would be taken for the start of the next response, an end for a failure of it.
    const fail = (): void => void duplex.destroy();
    const end = (): void => this.#dropIdle();
    duplex.on('data', fail).on('end', end);
    this.#idle = { duplex, fail, end, timer: setTimeout(end, IDLE_MS) };
    return true;
  }

  override reuseSocket(duplex: Duplex, request: http.ClientRequest): void {
    // Takes off what node listened to while nobody had it: else each request leaves a listener more.
    super.reuseSocket(duplex, request);
    if (this.#idle?.duplex !== duplex) return;
    clearTimeout(this.#idle.timer);
    duplex.off('data', this.#idle.fail).off('end', this.#idle.end);
    this.#idle = undefined;
  }

  #dropIdle(): void {
    if (this.#idle === undefined) return;
    const { duplex, timer } = this.#idle;
    clearTimeout(timer);
    this.#idle = undefined;
    partFromService(duplex);
  }

  /** Ends what is being opened, what is open, and what is idle. Upgraded connections have left. */
  close(): void {
    this.#closed = true;
    this.#dropIdle();
    for (const opening of this.#openings) opening.end(new IngressError('client-gone'));
    this.destroy();
  }
}

/** Ends both halves in order, for all that was asked is answered. A service that keeps its half is reset in the end. */
function partFromService(duplex: Duplex): void {
  const timer = setTimeout(() => duplex.destroy(), PART_MS);
  timer.unref();
  duplex.once('close', () => clearTimeout(timer));
  duplex.end();
  // Now that it takes no more, node's agent lets go of it; else it would destroy it with the rest.
  duplex.emit('agentRemove');
}

/**
 * Ends our half behind the service's: node's client destroys the connection then, which is no reset by anybody where all that was
 * asked has left. To be called before the client has it; with an upgrade the halves are others' to end.
 */
function endBehindService(duplex: Duplex): void {
  const end = (): void => void duplex.end();
  duplex.once('end', end).once('agentRemove', () => duplex.off('end', end));
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new IngressError('unreachable', { cause: error });
}

/** How long a client may go on with what was answered before its end. */
export const LINGER_MS = 5_000;

/**
 * Ends a connection after its last answer. A socket that is closed with bytes unread resets the connection, and a client that
 * still sends loses the answer or never looks for it: so what comes is read away, until the client ends its half too.
 */
export function part(socket: Duplex): void {
  // Nothing that comes is a request any more. The listener takes the connection back from node's parser.
  socket.removeAllListeners('data').removeAllListeners('end');
  socket.on('data', () => {});
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('close', () => clearTimeout(timer));
  socket.end();
  socket.resume();
}
