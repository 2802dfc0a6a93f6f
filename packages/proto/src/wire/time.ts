/** Times and lengths of time, as google.protobuf writes them, and as milliseconds. What is not set is a time that is not known. */
import { WireError } from './errors.ts';
import type * as pb from './pb.ts';

/** Both messages: seconds, and what is left of one. Of a length below zero, neither is above. */
type Stamp = { readonly seconds: number; readonly nanos: number };

/** The years that a Timestamp may be of end with 9999; a Duration may be as long as from one end of them to the other. */
const LAST_SECOND = 253_402_300_799;
const LONGEST_SECONDS = 315_576_000_000;

const LAST_MS = LAST_SECOND * 1_000 + 999;
const LONGEST_MS = LONGEST_SECONDS * 1_000;
const MOST_NANOS = 999_999_999;

function stamp(ms: number): Stamp {
  const seconds = Math.trunc(ms / 1_000);
  // Adding 0 makes of -0 a number that JSON and tests know.
  return { seconds: seconds + 0, nanos: within(Math.round((ms - seconds * 1_000) * 1e6), -MOST_NANOS, MOST_NANOS) + 0 };
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function milliseconds({ seconds, nanos }: pb.Outgoing<pb.Duration>): number {
  return (seconds ?? 0) * 1_000 + (nanos ?? 0) / 1e6;
}

/**
 * Of milliseconds since the Unix epoch. Null, which is not sent, for 0: never, or not known. An agent's clock may tell anything, and a client
 * that reads no later year must not lose the rest of a page for it: what is later is the last there is.
 */
export function timestampToWire(ms: number): Stamp | null {
  return ms <= 0 ? null : stamp(Math.min(Math.trunc(ms), LAST_MS));
}

/** In whole milliseconds since the Unix epoch; 0 when not set. Throws WireError for what is no time since then. */
export function timestampFromWire(wire: pb.Outgoing<pb.Timestamp> | null | undefined, field: string): number {
  if (wire === null || wire === undefined) return 0;
  checkParts(wire, field, 0, LAST_SECOND);
  return Math.trunc(milliseconds(wire));
}

/** Of milliseconds, to the nanosecond; what is longer than any is the longest that there is. */
export function durationToWire(ms: number): Stamp {
  return stamp(within(ms, -LONGEST_MS, LONGEST_MS));
}

/** In milliseconds, with what is left of one; undefined when not set. Throws WireError for what is no length of time. */
export function durationFromWire(wire: pb.Outgoing<pb.Duration> | null | undefined, field: string): number | undefined {
  if (wire === null || wire === undefined) return undefined;
  checkParts(wire, field, -LONGEST_SECONDS, LONGEST_SECONDS);
  return milliseconds(wire);
}

function checkParts({ seconds = 0, nanos = 0 }: pb.Outgoing<pb.Duration>, field: string, least: number, most: number) {
  const isWhole = seconds >= least && seconds <= most && Math.abs(nanos) < 1e9 && (least < 0 || nanos >= 0);
  const isOneWay = seconds === 0 || nanos === 0 || seconds > 0 === nanos > 0;
  if (!isWhole || !isOneWay) throw new WireError('wire-range', field, `${seconds} s and ${nanos} ns is out of range`);
}
