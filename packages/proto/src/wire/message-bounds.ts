/**
 * How much there is in a message, seen from its bytes, before anything is made of them. Two bytes on the wire can be an
 * object in memory: 8 MiB of those would hold up control for half a second and fill hundreds of megabytes, and a stranger
 * may send a Hello before it has proved anything. The format is protobuf's (protobuf.dev/programming-guides/encoding), the
 * field numbers are agent.proto's; the test holds both to what the generated code writes.
 */
import { OversizedMessageError } from './errors.ts';

/** A message type: its fields that hold messages themselves, by number. */
interface Shape {
  readonly [field: number]: Shape;
}

const PLAIN: Shape = {};
const REPORT: Shape = { 3: { 3: PLAIN }, 5: PLAIN };
const TELEMETRY: Shape = { 3: { 11: PLAIN }, 5: PLAIN };
const STANDING: Shape = { 3: PLAIN, 4: REPORT };
const AGENT_MESSAGE: Shape = {
  1: PLAIN,
  2: PLAIN,
  3: REPORT,
  4: { 1: PLAIN },
  5: PLAIN,
  6: PLAIN,
  7: TELEMETRY,
  8: STANDING,
};

/** Three for each of the 100,000 items that an inventory may have, and room for the rest. */
const MOST_FIELDS = 400_000;

/** The largest Join that is valid stays well below both. */
const MOST_JOIN_BYTES = 64 * 1024;
const MOST_JOIN_FIELDS = 1_000;

/** Throws OversizedMessageError. */
export function boundAgentMessage(bytes: Uint8Array): void {
  if (new FieldCounter(bytes, MOST_FIELDS).walk(bytes.length, AGENT_MESSAGE)) return;
  throw new OversizedMessageError('AgentMessage');
}

/** Throws OversizedMessageError. */
export function boundJoin(bytes: Uint8Array): void {
  const fits = bytes.length <= MOST_JOIN_BYTES;
  if (fits && new FieldCounter(bytes, MOST_JOIN_FIELDS).walk(bytes.length, PLAIN)) return;
  throw new OversizedMessageError('JoinRequest');
}

class FieldCounter {
  readonly #bytes: Uint8Array;
  #at = 0;
  #left: number;

  constructor(bytes: Uint8Array, most: number) {
    this.#bytes = bytes;
    this.#left = most;
  }

  /** Goes on to `end`, and into the fields that `shape` names. False for too many fields, and for what is malformed. */
  walk(end: number, shape: Shape): boolean {
    while (this.#at < end) {
      this.#left -= 1;
      const tag = this.#varint();
      if (this.#left < 0 || tag === undefined) return false;
      const inside = shape[Math.floor(tag / 8)];
      switch (tag % 8) {
        case 0:
          while ((this.#bytes[this.#at] ?? 0) >= 0x80) this.#at += 1;
          this.#at += 1;
          break;
        case 1:
          this.#at += 8;
          break;
        case 2: {
          const length = this.#varint();
          if (length === undefined || length > end - this.#at) return false;
          if (inside === undefined) this.#at += length;
          else if (!this.walk(this.#at + length, inside)) return false;
          break;
        }
        case 5:
          this.#at += 4;
          break;
        default:
          // Groups, which these messages have none of.
          return false;
      }
    }
    return this.#at === end;
  }

  /** Of 32 bits, as tags and lengths are; undefined for a longer one. */
  #varint(): number | undefined {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at] ?? 0x80;
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }
}
