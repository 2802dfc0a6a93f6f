/**
 * The kernel asked for sockets by the thread that wants to know (sock_diag(7)): one question and its answer are two system calls, some microseconds,
 * and nobody else is woken.
 */
import net, { type AddressInfo } from 'node:net';
import type { HostPort, Protocol } from '@weft/proto';
import {
  AF_INET,
  AF_INET6,
  type Answered,
  askConnection,
  askPort,
  QUESTION,
  readConnection,
  readPort,
  TAKING,
  type ToldSocket,
} from './diagnosis-message.ts';
import { type Netlink, openNetlink } from './netlink-calls.ts';
import { inodeOf } from './own-sockets.ts';
import type { FoundSocket } from './socket-tables.ts';

const NETLINK_SOCK_DIAG = 4;
/** Answers of other questions that are passed over: those that came after theirs was given up. */
const MOST_OTHERS = 64;
/** Messages of one answer: of a table that is longer nothing is told. */
const MOST_PARTS = 20_000;
const PROOF_MS = 5_000;

export type GoesOn = (told: number) => boolean;

export class KernelSockets {
  readonly #netlink: Netlink;
  #sequence = 0;

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  /** The caller's end of a connection of TCP over IPv4; `unknown` where the kernel says nothing to be relied on. */
  connection(client: HostPort, called: HostPort): Exclude<Answered, 'other'> {
    const sequence = this.#next();
    askConnection(this.#netlink.asked, sequence, client, called);
    if (this.#netlink.send(QUESTION) !== QUESTION) return 'unknown';
    for (let others = 0; others < MOST_OTHERS; others++) {
      const length = this.#netlink.receive();
      const answer = length <= 0 ? 'unknown' : readConnection(this.#netlink.answer, length, sequence, client, called);
      if (answer !== 'other') return answer;
    }
    return 'unknown';
  }

  /** All that listen at a port, or have it for datagrams, of IPv4 and of IPv6; 0 for any port. Undefined where that is not to be relied on. */
  at(protocol: Protocol, port: number): readonly ToldSocket[] | undefined {
    const told: ToldSocket[] = [];
    for (const family of [AF_INET, AF_INET6]) if (!this.#dump(family, protocol, port, told)) return undefined;
    return told;
  }

  /**
   * All of this host that take calls or datagrams from anybody. Undefined where that is not to be relied on, or where `goesOn`, asked after
   * each part with the number of those told so far, has it given up. The kernel has more to say of such a list then, and fails the next: to be closed.
   */
  takers(protocol: Protocol, goesOn: GoesOn = () => true): readonly ToldSocket[] | undefined {
    const told: ToldSocket[] = [];
    for (const family of [AF_INET, AF_INET6])
      if (!this.#dump(family, protocol, 0, told, TAKING[protocol], goesOn)) return undefined;
    return told.filter(({ taking }) => taking);
  }

  close(): void {
    this.#netlink.close();
  }

  #dump(
    family: number,
    protocol: Protocol,
    port: number,
    told: ToldSocket[],
    state?: number,
    goesOn: GoesOn = () => true,
  ): boolean {
    const sequence = this.#next();
    askPort(this.#netlink.asked, sequence, family, protocol, port, state);
    if (this.#netlink.send(QUESTION) !== QUESTION) return false;
    for (let part = 0; part < MOST_PARTS; part++) {
      const length = this.#netlink.receive();
      if (length <= 0) return false;
      const come = readPort(this.#netlink.answer, length, sequence, protocol, told);
      if (!goesOn(told.length)) return false;
      if (come !== 'more') return come === 'done';
    }
    return false;
  }

  #next(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }
}

/** Where it could not be proven, that is tried again no sooner, milliseconds: it may be for a reason that passes, as without a file left. */
export const PROVE_AGAIN_MS = 60_000;

/** Undefined where there is none, or it tells of this process's own sockets otherwise than is so. */
export async function provenKernel(
  open: () => Netlink | undefined = openDiagnosis,
): Promise<KernelSockets | undefined> {
  const netlink = open();
  if (netlink === undefined) return undefined;
  const kernel = new KernelSockets(netlink);
  if (await ownConnection((client, called, inodes) => isTrue(kernel, client, called, inodes))) return kernel;
  kernel.close();
  return undefined;
}

function openDiagnosis(): Netlink | undefined {
  return openNetlink(NETLINK_SOCK_DIAG);
}

/** Whether it knows this process's end of its own connection, who listens, and nobody at a place that is nobody's. */
function isTrue(kernel: KernelSockets, client: HostPort, called: HostPort, inodes: OwnInodes): boolean {
  const isOwn = (found: FoundSocket | string, end: keyof OwnInodes) =>
    typeof found === 'object' && found.uid === process.geteuid?.() && found.inode === inodes[end]();
  const listening = kernel.at('tcp', called.port)?.filter(({ socket }) => isOwn(socket, 'listener')) ?? [];
  return (
    isOwn(kernel.connection(client, called), 'client') &&
    listening.some(({ taking }) => taking) &&
    kernel.connection({ ...client, port: called.port }, called) === 'none'
  );
}

/** Of the sockets of a connection of one's own. They throw where Node does not show them. */
interface OwnInodes {
  client(): string;
  listener(): string;
}

/** Asks about a connection of this process, `client` and `called` its ends; undefined where there is none to be had, as without a file for it. */
export async function ownConnection<T>(
  ask: (client: HostPort, called: HostPort, inodes: OwnInodes) => T | Promise<T>,
): Promise<T | undefined> {
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => accepted.push(socket.on('error', () => {})));
  let client: net.Socket | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const socket = net.connect(port, '127.0.0.1');
    client = socket;
    socket.on('error', () => {});
    socket.setTimeout(PROOF_MS, () => socket.destroy());
    await new Promise<void>((resolve, reject) =>
      socket.once('connect', resolve).once('close', () => reject(new Error('closed'))),
    );
    const inodes = { client: () => inodeOf(socket), listener: () => inodeOf(server) };
    return await ask({ host: '127.0.0.1', port: socket.localPort ?? 0 }, { host: '127.0.0.1', port }, inodes);
  } catch {
    return undefined;
  } finally {
    client?.destroy();
    for (const socket of accepted) socket.destroy();
    server.close();
  }
}
