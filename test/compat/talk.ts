/** A connection to an echo on which something is always being said: whoever breaks it, or loses a byte, is found out. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 20;
/** An echo that has not come by then is lost. */
const PATIENCE_MS = 5_000;

export class Talk {
  readonly #socket: net.Socket;
  #said = '';
  #heard = '';
  #waitingSince = 0;
  #ended: string | undefined;
  #closing: boolean = false;
  readonly #timer: NodeJS.Timeout;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text) => {
      this.#heard += text;
      this.#waitingSince = this.#heard === this.#said ? 0 : Date.now();
    });
    socket.on('error', (error) => {
      this.#ended ??= error.message;
    });
    socket.on('close', () => {
      this.#ended ??= 'closed';
    });
    let number = 0;
    this.#timer = setInterval(() => {
      if (this.#ended !== undefined) return;
      const words = `${number++} `;
      this.#said += words;
      this.#waitingSince ||= Date.now();
      socket.write(words);
    }, PAUSE_MS);
  }

  static async open(host: string, port: number): Promise<Talk> {
    const socket = net.connect({ host, port });
    await new Promise((connected, failed) => socket.once('connect', connected).once('error', failed));
    return new Talk(socket);
  }

  /** Throws when it broke, lost something, or hears nothing. */
  assertWhole(): void {
    if (this.#ended !== undefined) throw new Error(`a connection that was to stay ended: ${this.#ended}`);
    if (!this.#said.startsWith(this.#heard)) throw new Error('what came back is not what was said');
    if (this.#waitingSince !== 0 && Date.now() - this.#waitingSince > PATIENCE_MS)
      throw new Error('nothing comes back');
  }

  /** Resolves when it was cut by the mesh, which it must be soon. */
  async cut(): Promise<void> {
    for (let look = 0; look < 50 && this.#ended === undefined; look++) await sleep(20);
    if (this.#ended === undefined) throw new Error('a connection that was denied was not cut');
    this.close();
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}
