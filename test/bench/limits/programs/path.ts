/**
 * path TARGET-PORT DELAY-MS MEGABITS: a long path to a port of 127.0.0.1, TCP. Each direction is one line of that rate,
 * shared by all connections, and a wire on which bytes travel for that long. What the line cannot take yet waits in a
 * queue of 50 ms; behind that the sender is held up, as by a router that marks and does not drop.
 */
import net from 'node:net';

const [target, delay, megabits] = process.argv.slice(2).map(Number);
if (target === undefined || delay === undefined || megabits === undefined) throw new Error('three numbers');
const BYTES_A_MS = (megabits * 1e6) / 8 / 1_000;
const QUEUE_MS = 50;
/** In the relay of one connection and direction: what travels, what waits, and 1 MiB for timers that come late. */
const HELD = BYTES_A_MS * (delay + QUEUE_MS) + (1 << 20);

class Line {
  readonly #travelling: { readonly at: number; readonly arrive: () => void }[] = [];
  #head = 0;
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  send(bytes: number, arrive: () => void): void {
    this.#freeAt = Math.max(this.#freeAt, performance.now()) + bytes / BYTES_A_MS;
    this.#travelling.push({ at: this.#freeAt + (delay ?? 0), arrive });
    this.#timer ??= setTimeout(() => this.#deliver(), delay);
  }

  #deliver(): void {
    const now = performance.now();
    let next = this.#travelling[this.#head];
    while (next !== undefined && next.at <= now) {
      this.#head += 1;
      next.arrive();
      next = this.#travelling[this.#head];
    }
    this.#travelling.splice(0, this.#head);
    this.#head = 0;
    this.#timer = next === undefined ? undefined : setTimeout(() => this.#deliver(), next.at - now);
  }
}

const forth = new Line();
const back = new Line();

function carry(from: net.Socket, to: net.Socket, line: Line): void {
  let held = 0;
  const gone = (bytes: number): void => {
    held -= bytes;
    if (held < HELD) from.resume();
  };
  from.on('data', (piece: Buffer) => {
    held += piece.length;
    if (held >= HELD) from.pause();
    line.send(piece.length, () => void to.write(piece, () => gone(piece.length)));
  });
  from.on('end', () => line.send(0, () => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => line.send(0, () => to.end()));
}

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = net.connect({ host: '127.0.0.1', port: target, allowHalfOpen: true, noDelay: true });
  carry(near, far, forth);
  carry(far, near, back);
});
server.listen({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`listening ${(server.address() as net.AddressInfo).port}\n`);
});
