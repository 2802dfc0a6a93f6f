/** The UDP port of the agent: packets out, and packets in to the session their index names. */
import dgram from 'node:dgram';
import type { DatagramOutput } from '../bytes/datagram-output.ts';
import { datagramOutput, receiveDatagrams } from '../bytes/datagrams.ts';
import { assertFreeDatagramPort, type PortSharing } from '../bytes/port-sharing.ts';
import { receiverIndexOf } from '../protocol/datagram/format.ts';

export interface DatagramAddress {
  readonly address: string;
  readonly port: number;
}

/** Takes a packet for one index. The packet's memory is used again once it returns. */
export type PacketReceiver = (packet: Buffer, from: DatagramAddress) => void;

/**
 * The port among threads that share it. The kernel gives a packet to any of them, so a session's index says whose it is:
 * thread i of n chooses indices with index % n = i. To a peer they are numbers like any other.
 */
export interface PacketSteering {
  readonly thread: number;
  readonly threads: number;
  /** Brings a packet, whose memory is its own, to the thread whose it is. False when too many are on their way there. */
  hand(owner: number, packet: Buffer, from: DatagramAddress): boolean;
  /** Names who takes what other threads hand over. */
  receive(receiver: PacketReceiver): void;
  /** Whether those have no port themselves, so that what they hand over is to be sent, to the address with it. */
  readonly sends?: boolean;
}

export interface DatagramPortOptions {
  readonly host: string;
  readonly port: number;
  readonly share?: PortSharing;
  readonly steering?: PacketSteering;
}

/** Bytes that may wait for the kernel; over it packets are dropped, as on any full path. */
const SEND_QUEUE_LIMIT = 2 * 1024 * 1024;
const SOCKET_BUFFER = 4 * 1024 * 1024;

export class DatagramPort {
  /** Undefined where another thread has the port. */
  readonly #socket: dgram.Socket | undefined;
  readonly #output: Pick<DatagramOutput, 'send'>;
  readonly #ipv6: boolean;
  readonly #receivers = new Map<number, PacketReceiver>();
  readonly #random: (size: number) => Buffer;
  readonly #dropped: () => void;
  readonly #steering: PacketSteering | undefined;
  #closed: boolean = false;

  private constructor(
    socket: dgram.Socket | undefined,
    ipv6: boolean,
    random: (size: number) => Buffer,
    dropped: () => void,
    steering: PacketSteering | undefined,
  ) {
    this.#socket = socket;
    this.#output =
      socket === undefined ? byOwner(steering, dropped) : datagramOutput(socket, SEND_QUEUE_LIMIT, dropped);
    this.#ipv6 = ipv6;
    this.#random = random;
    this.#dropped = dropped;
    this.#steering = steering;
    steering?.receive((packet, place) => {
      if (steering.sends === true) this.send(packet, place);
      else this.#deliver(receiverIndexOf(packet) ?? 0, packet, place);
    });
    if (socket === undefined) return;
    receiveDatagrams(socket, (packet, from) => {
      const index = receiverIndexOf(packet) ?? 0;
      // Port 0 is none (RFC 768), and an answer to it would throw; anyone on the path can write it into a good packet.
      if (index === 0 || from.port === 0) dropped();
      else if (steering === undefined || index % steering.threads === steering.thread) {
        this.#deliver(index, packet, from);
      } else if (!steering.hand(index % steering.threads, Buffer.from(packet), from)) dropped();
    });
    // Errors of single packets (no route, refused) show as probes that stay unanswered.
    socket.on('error', () => dropped());
  }

  /** The port of the first thread, for another: it sends what this one hands over, and hands over what comes for this one's sessions. `host`: where it is bound. */
  static ofFirst(
    host: string,
    steering: PacketSteering,
    random: (size: number) => Buffer,
    dropped: () => void,
  ): DatagramPort {
    return new DatagramPort(undefined, host.includes(':'), random, dropped, steering);
  }

  /** Binds. Rejects with the system's error when the port cannot be had. `dropped` counts packets lost here. */
  static async bind(
    options: DatagramPortOptions,
    random: (size: number) => Buffer,
    dropped: () => void,
  ): Promise<DatagramPort> {
    const { host, port, share, steering } = options;
    const ipv6 = host.includes(':');
    const type = ipv6 ? 'udp6' : 'udp4';
    if (share === 'first') await assertFreeDatagramPort(type, host, port);
    const socket = dgram.createSocket({
      type,
      ...(share === undefined ? {} : { reusePort: true }),
      // Addresses are always literal here; the resolver would cost a turn of the loop for each packet.
      lookup: (address, _options, callback) => callback(null, address, ipv6 ? 6 : 4),
    });
    return await new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: host, port }, () => {
        socket.removeAllListeners('error');
        enlarge(socket);
        resolve(new DatagramPort(socket, ipv6, random, dropped, steering));
      });
    });
  }

  /** An index that no session here uses: at random among those of this thread. */
  newIndex(): number {
    const { thread, threads } = this.#steering ?? { thread: 0, threads: 1 };
    for (;;) {
      const drawn = this.#random(4).readUInt32BE(0);
      const index = drawn - (drawn % threads) + thread;
      if (index !== 0 && index <= 0xffff_ffff && !this.#receivers.has(index)) return index;
    }
  }

  /** What a probe is known by; not to be guessed, for its answer vouches for an address. */
  newProbeId(): number {
    return this.#random(4).readUInt32BE(0);
  }

  /** The address in the form in which this socket tells who sent a packet; undefined where it cannot send there. */
  placeOf(address: DatagramAddress): DatagramAddress | undefined {
    if (address.address.includes(':') === this.#ipv6) return address;
    return this.#ipv6 ? { address: `::ffff:${address.address}`, port: address.port } : undefined;
  }

  register(index: number, receiver: PacketReceiver): void {
    this.#receivers.set(index, receiver);
  }

  unregister(index: number): void {
    this.#receivers.delete(index);
  }

  /** Sends to a place of this socket's. The packet is lent. */
  send(packet: Buffer, to: DatagramAddress): void {
    if (!this.#closed) this.#output.send(packet, to.port, to.address);
  }

  #deliver(index: number, packet: Buffer, from: DatagramAddress): void {
    const receiver = this.#receivers.get(index);
    if (receiver === undefined) this.#dropped();
    else receiver(packet, from);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receivers.clear();
    this.#socket?.close();
  }
}

function byOwner(steering: PacketSteering | undefined, dropped: () => void): Pick<DatagramOutput, 'send'> {
  return {
    send: (packet, port, address) => {
      if (steering?.hand(0, Buffer.from(packet), { address, port }) !== true) dropped();
    },
  };
}

/** More room for bursts; systems that refuse it keep their own. */
function enlarge(socket: dgram.Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER);
    socket.setSendBufferSize(SOCKET_BUFFER);
  } catch {
    // The default serves, with fewer packets in a burst.
  }
}
