/**
 * Tunnels' packets between threads: what the kernel gave to the wrong one goes to the thread whose session it is for.
 * Packets of one turn of the loop go together. What is on its way between two threads is bounded by a counter that both
 * see; over it packets are dropped, as on any full path.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { DatagramAddress, PacketReceiver, PacketSteering } from '../../tunnel/datagram-port.ts';
import type { PacketWays } from './messages.ts';

/** Packets on their way from one thread to another: about as many as a socket's buffer holds. */
const OUTSTANDING = 1_024;

interface Batch {
  /** All packets, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lengths: readonly number[];
  readonly from: readonly DatagramAddress[];
}

interface Gathered {
  readonly packets: Buffer[];
  readonly from: DatagramAddress[];
}

/** Ways between all threads of an agent, by thread. */
export function createPacketWays(threads: number): readonly PacketWays[] {
  const outstanding = new SharedArrayBuffer(threads * threads * Int32Array.BYTES_PER_ELEMENT);
  const ports = Array.from({ length: threads }, () => Array<MessagePort | undefined>(threads).fill(undefined));
  for (let left = 0; left < threads; left++) {
    for (let right = left + 1; right < threads; right++) {
      const { port1, port2 } = new MessageChannel();
      (ports[left] ?? [])[right] = port1;
      (ports[right] ?? [])[left] = port2;
    }
  }
  return ports.map((own) => ({ ports: own, outstanding }));
}

/** Of a first thread that has the only port, to a second that begins and ends. */
export class SecondSteering implements PacketSteering {
  readonly thread = 0;
  readonly threads = 2;
  readonly sends = true;
  #receiver: PacketReceiver = () => {};
  #ways: ThreadSteering | undefined;

  /** Ways of a second thread that begins; the one before has ended. */
  begin(): PacketWays {
    this.end();
    const [own, other] = createPacketWays(this.threads) as [PacketWays, PacketWays];
    this.#ways = new ThreadSteering(this.thread, own);
    this.#ways.receive((packet, to) => this.#receiver(packet, to));
    return other;
  }

  end(): void {
    this.#ways?.close();
    this.#ways = undefined;
  }

  hand(owner: number, packet: Buffer, from: DatagramAddress): boolean {
    return this.#ways?.hand(owner, packet, from) ?? false;
  }

  receive(receiver: PacketReceiver): void {
    this.#receiver = receiver;
  }

  get waiting(): number {
    return this.#ways?.waiting ?? 0;
  }

  close(): void {
    this.end();
  }
}

export class ThreadSteering implements PacketSteering {
  readonly thread: number;
  readonly threads: number;
  readonly #ports: PacketWays['ports'];
  readonly #outstanding: Int32Array;
  readonly #gathered = new Map<number, Gathered>();

  constructor(thread: number, { ports, outstanding }: PacketWays) {
    this.thread = thread;
    this.threads = ports.length;
    this.#ports = ports;
    this.#outstanding = new Int32Array(outstanding);
  }

  hand(owner: number, packet: Buffer, from: DatagramAddress): boolean {
    const way = this.thread * this.threads + owner;
    // Only this thread adds, so between the look and the addition it can only become less.
    if (this.#ports[owner] === undefined || Atomics.load(this.#outstanding, way) >= OUTSTANDING) return false;
    Atomics.add(this.#outstanding, way, 1);
    let gathered = this.#gathered.get(owner);
    if (gathered === undefined) {
      gathered = { packets: [], from: [] };
      this.#gathered.set(owner, gathered);
      if (this.#gathered.size === 1) setImmediate(() => this.#flush());
    }
    gathered.packets.push(packet);
    gathered.from.push({ address: from.address, port: from.port });
    return true;
  }

  receive(receiver: PacketReceiver): void {
    for (const [sender, port] of this.#ports.entries()) {
      port?.on('message', ({ bytes, lengths, from }: Batch) => {
        Atomics.sub(this.#outstanding, sender * this.threads + this.thread, lengths.length);
        let start = 0;
        for (const [index, length] of lengths.entries()) {
          const source = from[index];
          if (source !== undefined) receiver(Buffer.from(bytes.buffer, start, length), source);
          start += length;
        }
      });
    }
  }

  /** Packets on their way here. */
  get waiting(): number {
    let sum = 0;
    for (let sender = 0; sender < this.threads; sender++) {
      sum += Atomics.load(this.#outstanding, sender * this.threads + this.thread);
    }
    return sum;
  }

  close(): void {
    this.#gathered.clear();
    for (const port of this.#ports) port?.close();
  }

  #flush(): void {
    for (const [owner, { packets, from }] of this.#gathered) {
      const lengths = packets.map(({ length }) => length);
      const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
      let start = 0;
      for (const packet of packets) {
        bytes.set(packet, start);
        start += packet.length;
      }
      const batch: Batch = { bytes, lengths, from };
      this.#ports[owner]?.postMessage(batch, [bytes.buffer]);
    }
    this.#gathered.clear();
  }
}
