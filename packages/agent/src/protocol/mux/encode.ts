/** Frames to bytes. */
import { FRAME_HEADER, type FrameType } from './types.ts';

/** Writes a header at `offset`; returns where the payload goes. */
export function writeHeader(target: Buffer, offset: number, type: FrameType, id: number, length: number): number {
  target[offset] = type;
  target.writeUInt32BE(id, offset + 1);
  target.writeUInt32BE(length, offset + 5);
  return offset + FRAME_HEADER;
}

/** A header alone, for a payload that is sealed from where it lies. */
export function encodeHeader(type: FrameType, id: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER);
  writeHeader(header, 0, type, id, length);
  return header;
}

export function encodeCredit(credit: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(credit);
  return payload;
}
