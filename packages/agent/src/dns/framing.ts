/** DNS over TCP: each message after its length in two bytes, RFC 1035 section 4.2.2. */

/** The message with its length before it. */
export function frameMessage(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, 2);
  return framed;
}

/** Cuts a stream into messages. Holds at most one unfinished message, so at most 64 KiB and the last piece. */
export class MessageReader {
  readonly #message: (message: Buffer) => void;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Bytes needed before anything can be cut off. */
  #wanted = 2;

  constructor(message: (message: Buffer) => void) {
    this.#message = message;
  }

  push(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#held += bytes.length;
    if (this.#held < this.#wanted) return;
    // Joined only when a length or a message is whole: bytes that trickle in cost no copying each.
    let rest = this.#pieces.length === 1 ? bytes : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#wanted = 2;
    while (rest.length >= 2) {
      const end = 2 + rest.readUInt16BE(0);
      if (rest.length < end) {
        this.#wanted = end;
        break;
      }
      const message = rest.subarray(2, end);
      rest = rest.subarray(end);
      this.#message(message);
    }
    this.#held = rest.length;
    if (rest.length > 0) this.#pieces.push(rest);
  }
}
