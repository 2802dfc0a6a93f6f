/** Frames and what they carry. docs/WIRE.md, section "Streams", is the specification. */
import { MAXIMUM_PLAINTEXT } from '../record/format.ts';

export const FRAME = {
  /** Opens a stream or a UDP flow: initial window and OpenRequest. */
  open: 1,
  /** The opener's request was accepted: initial window. */
  opened: 2,
  /** It was not: Refusal. */
  refused: 3,
  /** Bytes of a stream, within the receiver's window. */
  data: 4,
  /** More credit for the receiver of this frame, in bytes. */
  window: 5,
  /** No more data from the sender of this frame; ends a UDP flow whole. */
  fin: 6,
  /** Both directions are over, at once. */
  reset: 7,
  /** Asks for a pong with the same eight bytes. */
  ping: 8,
  pong: 9,
  /** One datagram of a UDP flow. */
  datagram: 10,
  /** The sender's next record is under its next key. */
  rekey: 11,
  /** Noise message 1 of a handshake inside the tunnel. */
  handshake1: 12,
  /** Noise message 2; the responder's next record is under the new session's key. */
  handshake2: 13,
  /** The initiator's next record is under the new session's key. */
  switchKeys: 14,
  /** The sender will open no more streams in this tunnel. */
  goAway: 15,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

/** [1 type][4 stream id][4 payload length], big endian. */
export const FRAME_HEADER = 9;
/** Largest DATA payload: with its header it fills one record. */
export const MAXIMUM_DATA = MAXIMUM_PLAINTEXT - FRAME_HEADER;
/** Largest payload of UDP over IPv4. */
export const MAXIMUM_DATAGRAM = 65_507;
/** Highest stream id; a tunnel that got there takes no more streams. */
export const MAXIMUM_STREAM_ID = 0x7fff_ffff;
/** A window never exceeds this, nor may a peer's WINDOW frames take it there. */
export const MAXIMUM_CREDIT = 0x7fff_ffff;

/** Receives the frames of a record in order. Payloads may be kept: they are fresh memory; but for datagrams, and data that is not owned. */
export interface FrameHandler {
  /** Set when the tunnel ended while a record was being read: the rest of it is not looked at. */
  readonly stopped: boolean;
  open(id: number, payload: Buffer): void;
  opened(id: number, payload: Buffer): void;
  refused(id: number, payload: Buffer): void;
  /** Called once for each piece of memory the payload lies in. */
  data(id: number, piece: Buffer, owned: boolean): void;
  window(id: number, credit: number): void;
  fin(id: number): void;
  reset(id: number): void;
  ping(token: Buffer): void;
  pong(token: Buffer): void;
  datagram(id: number, payload: Buffer): void;
  rekey(): void;
  handshake1(message: Buffer): void;
  handshake2(message: Buffer): void;
  switchKeys(): void;
  goAway(): void;
}
