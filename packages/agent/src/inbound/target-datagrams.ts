/** A UDP flow's socket to the program on this host: bound to the caller's address, connected to the program's. */

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { defined } from '@weft/proto';
import { datagramOutput } from '../bytes/datagram-output.ts';
import type { Deadline } from '../bytes/deadline.ts';
import { descriptorOf } from '../bytes/inside/descriptor.ts';
import { type OpenFiles, outOfFiles } from '../bytes/open-files.ts';
import type { DatagramOutput } from '../bytes/output.ts';
import { endDatagrams } from '../flows/flow.ts';
import type { Flow } from '../flows/registry.ts';
import type { DatagramConduit, DatagramEvents } from '../words/conduit.ts';
import type { TargetAddress } from './addresses.ts';

/** Bytes the kernel has not taken yet; further datagrams are dropped, as on any full path. */
const UNSENT_LIMIT = 1 << 20;
/** Asked of the kernel for replies in bursts; it grants less where net.core.rmem_max says so. */
const RECEIVE_BUFFER = 1 << 20;

/**
 * Opens the socket. `refused` is told when the kernel says that nobody takes datagrams there, which it does only after
 * one was sent; the conduit closes then. Throws what bind or connect throws, and the deadline's reason.
 */
export async function connectDatagrams(
  target: TargetAddress,
  localAddress: string | undefined,
  deadline: Deadline,
  files: OpenFiles,
  refused: (detail: string) => void,
): Promise<DatagramConduit> {
  deadline.throwIfOver();
  const socket = createSocket({ type: isIPv6(target.host) ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER });
  try {
    await step(socket, (done) => socket.bind({ port: 0, ...defined({ address: localAddress }) }, done));
    if (!files.spares(descriptorOf(socket))) throw outOfFiles('bind');
    await step(socket, (done) => socket.connect(target.port, target.host, done));
    deadline.throwIfOver();
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

class TargetDatagrams implements DatagramConduit {
  readonly #socket: Socket;
  readonly #output: DatagramOutput;
  readonly #refused: (detail: string) => void;
  #events: DatagramEvents | undefined;
  #closed: boolean = false;

  constructor(socket: Socket, refused: (detail: string) => void) {
    this.#socket = socket;
    this.#output = datagramOutput(socket, UNSENT_LIMIT, (cause) => {
      if (cause !== undefined) this.#failed(cause);
    });
    this.#refused = refused;
    socket.on('message', (payload) => this.#events?.datagram(payload));
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
    this.#events?.closed();
  }

  /** An ICMP error comes back on the next call; only a refusal says something about the flow as a whole. */
  #failed(error: Error): void {
    if (this.#closed || !('code' in error) || error.code !== 'ECONNREFUSED') return;
    this.#refused(`nothing takes datagrams there (${error.code})`);
    this.close();
  }
}

export function joinDatagrams(flow: Flow, peer: DatagramConduit, target: DatagramConduit, idleMs: number): void {
  // One timer a flow, moved at most once an idle time: a datagram only notes when it came.
  let usedMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const close = () => {
    clearTimeout(timer);
    // Both calls may come back here through `closed`; the flow ends once.
    flow.end('closed');
    target.close();
    peer.close();
  };
  const watch = (wait: number) => {
    timer = setTimeout(() => {
      const left = usedMs + idleMs - performance.now();
      if (left <= 0) close();
      else watch(left);
    }, wait);
    timer.unref();
  };
  watch(idleMs);
  flow.onCut(close);
  target.attach({
    datagram(payload) {
      usedMs = performance.now();
      flow.bytesReceived += payload.length;
      peer.send(payload);
    },
    closed: close,
  });
  peer.attach({
    datagram(payload) {
      usedMs = performance.now();
      flow.bytesSent += payload.length;
      target.send(payload);
    },
    closed: (cause) => {
      endDatagrams(flow, cause);
      close();
    },
  });
}
