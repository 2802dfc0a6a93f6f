/** The UDP port of the agent: packets out, and packets in to the session their index names. */
import dgram from 'node:dgram';
import { receiverIndexOf } from '../protocol/datagram/format.ts';

export interface DatagramAddress {
  readonly address: string;
  readonly port: number;
}

/** Takes a packet for one index. The packet's memory is its own. */
export type PacketReceiver = (packet: Buffer, from: DatagramAddress) => void;

/** Bytes that may wait for the kernel; over it packets are dropped, as on any full path. */
const SEND_QUEUE_LIMIT = 2 * 1024 * 1024;
const SOCKET_BUFFER = 4 * 1024 * 1024;

export class DatagramPort {
  readonly #socket: dgram.Socket;
  readonly #ipv6: boolean;
  readonly #receivers = new Map<number, PacketReceiver>();
  readonly #random: (size: number) => Buffer;
  readonly #dropped: () => void;
  #closed: boolean = false;

  private constructor(socket: dgram.Socket, ipv6: boolean, random: (size: number) => Buffer, dropped: () => void) {
    this.#socket = socket;
    this.#ipv6 = ipv6;
    this.#random = random;
    this.#dropped = dropped;
    socket.on('message', (packet, from) => {
      const receiver = this.#receivers.get(receiverIndexOf(packet) ?? 0);
      // Port 0 is none (RFC 768), and an answer to it would throw; anyone on the path can write it into a good packet.
      if (receiver === undefined || from.port === 0) dropped();
      else receiver(packet, from);
    });
    // Errors of single packets (no route, refused) show as probes that stay unanswered.
    socket.on('error', () => dropped());
  }

  /** Binds. Rejects with the system's error when the port cannot be had. `dropped` counts packets lost here. */
  static bind(
    at: { readonly host: string; readonly port: number },
    random: (size: number) => Buffer,
    dropped: () => void,
  ): Promise<DatagramPort> {
    const ipv6 = at.host.includes(':');
    const socket = dgram.createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      // Addresses are always literal here; the resolver would cost a turn of the loop for each packet.
      lookup: (host, _options, callback) => callback(null, host, ipv6 ? 6 : 4),
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: at.host, port: at.port }, () => {
        socket.removeAllListeners('error');
        enlarge(socket);
        resolve(new DatagramPort(socket, ipv6, random, dropped));
      });
    });
  }

  /** An index that no session here uses. */
  newIndex(): number {
    for (;;) {
      const index = this.#random(4).readUInt32BE(0);
      if (index !== 0 && !this.#receivers.has(index)) return index;
    }
  }

  /** What a probe is known by; not to be guessed, for its answer vouches for an address. */
  newProbeId(): number {
    return this.#random(4).readUInt32BE(0);
  }

  /** Whether packets can be sent there from this socket. */
  reaches(address: string): boolean {
    return this.#ipv6 || !address.includes(':');
  }

  register(index: number, receiver: PacketReceiver): void {
    this.#receivers.set(index, receiver);
  }

  unregister(index: number): void {
    this.#receivers.delete(index);
  }

  /** Sends; the packet's memory must not be used again. */
  send(packet: Buffer, to: DatagramAddress): void {
    if (this.#closed) return;
    if (this.#socket.getSendQueueSize() > SEND_QUEUE_LIMIT) {
      this.#dropped();
      return;
    }
    const host = this.#ipv6 && !to.address.includes(':') ? `::ffff:${to.address}` : to.address;
    this.#socket.send(packet, to.port, host, (error) => {
      if (error !== null) this.#dropped();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receivers.clear();
    this.#socket.close();
  }
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
