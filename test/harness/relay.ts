/** A relay between two agents: adds delay, and stalls, cuts or drops on command. TCP and UDP on one port. */
import dgram from 'node:dgram';
import net from 'node:net';

export interface RelayOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Added to each direction, milliseconds. */
  readonly delay?: number;
  /** False lets no datagram through. */
  readonly datagrams?: boolean;
}

/** Where a connection is to be cut: so many bytes from now, of one direction. */
export interface Cut {
  readonly after: number;
  /** `forth` is from the dialling side. */
  readonly direction: 'forth' | 'back';
  /** A reset, or an orderly end in the middle of what passes. */
  readonly how: 'reset' | 'end';
}

export class Relay {
  readonly port: number;
  /** Bytes passed from the dialling side, TCP only. */
  bytesForth = 0;
  datagramsForth = 0;
  datagramsBack = 0;
  passDatagrams: boolean;
  readonly #server: net.Server;
  readonly #socket: dgram.Socket;
  readonly #target: RelayOptions['target'];
  readonly #delay: number;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  readonly #backs = new Map<string, dgram.Socket>();
  #stalled: boolean = false;
  #cut: { readonly planned: Cut; left: number } | undefined;
  #lastForth: (() => void) | undefined;

  private constructor(server: net.Server, socket: dgram.Socket, port: number, options: RelayOptions) {
    this.#server = server;
    this.#socket = socket;
    this.port = port;
    this.#target = options.target;
    this.#delay = options.delay ?? 0;
    this.passDatagrams = options.datagrams ?? true;
    server.on('connection', (near) => this.#pair(near));
    socket.on('message', (packet, from) => this.#forth(packet, from));
  }

  static async start(options: RelayOptions): Promise<Relay> {
    for (;;) {
      const server = net.createServer({ allowHalfOpen: true, noDelay: true });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as net.AddressInfo;
      const socket = dgram.createSocket('udp4');
      const bound = await new Promise<boolean>((resolve) => {
        socket.once('error', () => resolve(false));
        socket.bind(port, '127.0.0.1', () => resolve(true));
      });
      if (bound) return new Relay(server, socket, port, options);
      server.close();
      socket.close();
    }
  }

  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Takes bytes and passes none on, as a path that went dark. */
  stall(): void {
    this.#stalled = true;
  }

  unstall(): void {
    this.#stalled = false;
  }

  /** Keeps back what the dialled side says, until `release`: it waits with its kernel. */
  hold(): void {
    for (const [, far] of this.#pairs) far.pause();
  }

  release(): void {
    for (const [, far] of this.#pairs) far.resume();
  }

  /** Resets every connection, wherever in a record it is. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Cuts the connection that carries the so manieth byte from now, behind that byte. Happens once. */
  cutAfter(planned: Cut): void {
    this.#cut = { planned, left: planned.after };
  }

  /** Sends bytes of its own to the dialled side, in the middle of what passes. */
  inject(bytes: Buffer): void {
    for (const [, far] of this.#pairs) far.write(bytes);
  }

  /** Sends the last datagram of the dialling side once more. */
  replayDatagram(): void {
    this.#lastForth?.();
  }

  close(): void {
    this.cut();
    this.#server.close();
    this.#socket.close();
    for (const back of this.#backs.values()) back.close();
  }

  #pair(near: net.Socket): void {
    const far = net.connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    this.#pass(near, far, 'forth');
    this.#pass(far, near, 'back');
    const gone = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('close', gone);
    far.on('close', gone);
  }

  #pass(from: net.Socket, to: net.Socket, direction: Cut['direction']): void {
    from.on('error', () => to.destroy());
    from.on('data', (piece) => {
      if (direction === 'forth') this.bytesForth += piece.length;
      if (this.#stalled) return;
      const cut = this.#cut;
      if (cut === undefined || cut.planned.direction !== direction || piece.length < cut.left) {
        if (cut?.planned.direction === direction) cut.left -= piece.length;
        this.#later(() => to.writable && to.write(piece));
        return;
      }
      this.#cut = undefined;
      from.pause();
      // What passed is with the other side's kernel before the end is.
      this.#later(() => to.write(piece.subarray(0, cut.left), () => end(from, to, cut.planned.how)));
    });
    from.on('end', () => this.#later(() => to.end()));
  }

  #forth(packet: Buffer, from: dgram.RemoteInfo): void {
    if (!this.passDatagrams || this.#stalled) return;
    this.datagramsForth += 1;
    const key = `${from.address}:${from.port}`;
    let back = this.#backs.get(key);
    if (back === undefined) {
      back = dgram.createSocket('udp4');
      this.#backs.set(key, back);
      back.on('message', (answer) => {
        if (!this.passDatagrams || this.#stalled) return;
        this.datagramsBack += 1;
        this.#later(() => this.#socket.send(answer, from.port, from.address));
      });
    }
    const socket = back;
    this.#lastForth = () => socket.send(packet, this.#target.port, this.#target.host);
    this.#later(this.#lastForth);
  }

  /** Timers of one length fire in the order they were set, so bytes keep their order. */
  #later(action: () => void): void {
    if (this.#delay === 0) action();
    else setTimeout(action, this.#delay);
  }
}

function end(from: net.Socket, to: net.Socket, how: Cut['how']): void {
  if (how === 'reset') {
    from.resetAndDestroy();
    to.resetAndDestroy();
  } else {
    to.end();
    from.destroy();
  }
}
