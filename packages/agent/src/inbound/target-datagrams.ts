/** A UDP flow's socket to the program on this host: bound to the caller's address, connected to the program's. */

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { defined, entryOf } from '@weft/proto';
import type { DatagramOutput } from '../bytes/datagram-output.ts';
import { datagramOutput, receiveDatagrams } from '../bytes/datagrams.ts';
import type { Deadline } from '../bytes/deadline.ts';
import { datagramDescriptorOf } from '../bytes/inside/datagram-output.ts';
import { type OpenFiles, outOfFiles } from '../bytes/open-files.ts';
import { endDatagrams, idleFor } from '../flows/flow.ts';
import type { Flow } from '../flows/registry.ts';
import type { DatagramConduit, DatagramEvents } from '../words/conduit.ts';
import type { TargetAddress } from './addresses.ts';

/** Bytes the kernel has not taken yet; further datagrams are dropped, as on any full path. */
const UNSENT_LIMIT = 1 << 20;
/** Asked of the kernel for replies in bursts; it grants less where net.core.rmem_max says so. */
const RECEIVE_BUFFER = 1 << 20;

/**
 * Opens the socket. `refused` is told when the kernel says that nobody takes datagrams there, which it does only after
 * one was sent; the conduit closes then. `closed` is told once when it does, however. Throws what bind or connect throws, and the deadline's reason.
 */
export async function connectDatagrams(
  target: TargetAddress,
  localAddress: string | undefined,
  deadline: Deadline,
  files: OpenFiles,
  refused: () => void,
  closed: () => void = () => undefined,
): Promise<DatagramConduit> {
  deadline.throwIfOver();
  const socket = createSocket({ type: isIPv6(target.host) ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER });
  try {
    await step(socket, (done) => socket.bind({ port: 0, ...defined({ address: localAddress }) }, done));
    if (!files.spares(datagramDescriptorOf(socket))) throw outOfFiles('bind');
    await step(socket, (done) => socket.connect(target.port, target.host, done));
    deadline.throwIfOver();
  } catch (cause) {
    socket.close();
    throw cause;
  }
  return new TargetDatagrams(socket, refused, closed);
}

/** The same of a bound socket that was handed over. */
export async function handedDatagrams(
  socket: Socket,
  target: TargetAddress,
  refused: () => void,
): Promise<DatagramConduit> {
  try {
    await step(socket, (done) => socket.connect(target.port, target.host, done));
  } catch (cause) {
    socket.close();
    throw cause;
  }
  return new TargetDatagrams(socket, refused);
}

function step(socket: Socket, begin: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    begin((error?: Error) => {
      socket.off('error', reject);
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}

/** Of a socket that is connected; `refused` as above. */
export function connectedDatagrams(socket: Socket, refused: () => void): DatagramConduit {
  return new TargetDatagrams(socket, refused);
}

class TargetDatagrams implements DatagramConduit {
  readonly #socket: Socket;
  readonly #output: DatagramOutput;
  readonly #refused: () => void;
  readonly #onClose: () => void;
  #events: DatagramEvents | undefined;
  #closed: boolean = false;

  constructor(socket: Socket, refused: () => void, closed: () => void = () => undefined) {
    this.#socket = socket;
    this.#output = datagramOutput(socket, UNSENT_LIMIT, (cause) => {
      if (cause !== undefined) this.#failed(cause);
    });
    this.#refused = refused;
    this.#onClose = closed;
    receiveDatagrams(socket, (payload) => this.#events?.datagram(payload));
    socket.on('error', (error) => this.#failed(error));
  }

  attach(events: DatagramEvents): void {
    this.#events = events;
    if (this.#closed) events.closed();
  }

  send(payload: Buffer): void {
    if (!this.#closed) this.#output.sendConnected(payload);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#onClose();
    this.#events?.closed();
  }

  /** An ICMP error comes back on the next call; only a refusal says something about the flow as a whole. */
  #failed(error: Error): void {
    if (this.#closed || !('code' in error) || error.code !== 'ECONNREFUSED') return;
    this.#refused();
    this.close();
  }
}

/** Ends a UDP flow to a program, and says why. */
type EndFlow = (user: string) => void;

/** UDP flows by where they go, as `otherKey` has it: whoever takes the port there gets all that follows, though nobody called it. */
export class FlowsToTargets {
  readonly #byTarget = new Map<string, Set<EndFlow>>();

  add(target: string, end: EndFlow): void {
    entryOf(this.#byTarget, target, () => new Set()).add(end);
  }

  remove(target: string, end: EndFlow): void {
    const flows = this.#byTarget.get(target);
    if (flows?.delete(end) === true && flows.size === 0) this.#byTarget.delete(target);
  }

  /** Those to targets that are another user's by now, whose name is told by target. */
  end(others: ReadonlyMap<string, string>): void {
    for (const [target, user] of others) for (const end of [...(this.#byTarget.get(target) ?? [])]) end(user);
  }
}

interface HeldFlow {
  /** When its last datagram came, either way. */
  usedMs: number;
  close(detail?: string): void;
}

/** One that had a datagram within this time is in use. */
const IN_USE_MS = 1_000;

/** UDP flows to programs of this host, each of which holds a socket: when files run out, the longest idle makes room. */
export class HeldDatagrams {
  readonly #byService = new Map<string, Set<HeldFlow>>();

  add(service: string, flow: HeldFlow): void {
    entryOf(this.#byService, service, () => new Set()).add(flow);
  }

  remove(service: string, flow: HeldFlow): void {
    const flows = this.#byService.get(service);
    if (flows?.delete(flow) === true && flows.size === 0) this.#byService.delete(service);
  }

  /**
   * Ends the longest idle of the service that has the most, for a flow to `newcomer`: a crowd at one service puts out its own.
   * False when there is none, or all of them are in use, which counts among those of one service only.
   */
  makeRoom(newcomer: string): boolean {
    let [largest, most] = [newcomer, this.#byService.get(newcomer)?.size ?? 0];
    for (const [service, { size }] of this.#byService) if (size > most) [largest, most] = [service, size];
    let idlest: HeldFlow | undefined;
    for (const flow of this.#byService.get(largest) ?? [])
      if (flow.usedMs < (idlest?.usedMs ?? Infinity)) idlest = flow;
    if (idlest === undefined || (largest === newcomer && performance.now() - idlest.usedMs < IN_USE_MS)) return false;
    idlest.close('idle, and made room for another client');
    return true;
  }
}

/** Of this end's idle time: who calls ends what was silent for half of it, or all; a datagram may have been on its way for a moment longer than the end. */
const LET_GO = 0.4;

/** `idleMs`: the longest that the flow may be silent. `held` hears of it while it holds its socket. */
export function joinDatagrams(
  flow: Flow,
  peer: DatagramConduit,
  target: DatagramConduit,
  idleMs: number,
  held: Pick<HeldDatagrams, 'add' | 'remove'>,
  service: string,
): void {
  // One timer a flow, moved at most once an idle time: a datagram only notes when it came.
  let timer: NodeJS.Timeout | undefined;
  const self: HeldFlow = {
    usedMs: performance.now(),
    close(detail) {
      clearTimeout(timer);
      held.remove(service, self);
      // Both calls may come back here through `closed`; the flow ends once.
      flow.end('closed', detail);
      target.close();
      peer.close();
    },
  };
  const close = () => self.close();
  const watch = (wait: number) => {
    timer = setTimeout(() => {
      const left = self.usedMs + idleMs - performance.now();
      if (left <= 0) self.close(idleFor(idleMs));
      else watch(left);
    }, wait);
    timer.unref();
  };
  watch(idleMs);
  held.add(service, self);
  flow.onCut(close);
  target.attach({
    datagram(payload) {
      self.usedMs = performance.now();
      flow.bytesReceived += payload.length;
      peer.send(payload);
    },
    closed: close,
  });
  peer.attach({
    datagram(payload) {
      self.usedMs = performance.now();
      flow.bytesSent += payload.length;
      target.send(payload);
    },
    closed: (cause) => {
      const silentMs = performance.now() - self.usedMs;
      if (cause === undefined && silentMs >= LET_GO * idleMs) flow.end('closed', idleFor(silentMs));
      endDatagrams(flow, cause);
      close();
    },
  });
}
