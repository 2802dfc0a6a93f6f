/**
 * Knows a record again that was told before in the same words: an agent sends again what it does not know to be taken. Only
 * the same words count. Whoever begins a flow chooses its identifier, and could otherwise hide one flow behind another.
 */
import { hash, randomBytes } from 'node:crypto';
import type { FlowRecord } from '@weft/proto';
import { shapeKey } from './packing.ts';

/** 72 bits, of a hash that nobody outside can compute. */
const DIGITS = 12;

export class ResendMemory {
  /** The most records to know; may change from one call to the next. */
  readonly #most: () => number;
  readonly #secret = randomBytes(16).toString('base64url');
  /** When the newer is half of all, it becomes the older: so at least half of `most` are known, and no order is kept. */
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(most: () => number) {
    this.#most = most;
  }

  /** Whether it was seen before; from now on it was. */
  sees(record: FlowRecord): boolean {
    const half = this.#most() / 2;
    if (half < 1) return false;
    const digest = this.#digest(record);
    if (this.#newer.has(digest) || this.#older.has(digest)) return true;
    if (this.#newer.size >= half) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    this.#newer.add(digest);
    return false;
  }

  #digest(record: FlowRecord): string {
    const { id, startedMs, durationMs, revision, bytesSent, bytesReceived, detail } = record;
    const numbers = `${startedMs} ${durationMs} ${revision} ${bytesSent} ${bytesReceived}`;
    // No text of a record holds a control character: the wire's reader sees to it.
    const words = `${this.#secret}\n${id}\n${numbers}\n${detail}\n${shapeKey('', record)}`;
    return hash('sha256', words, 'base64url').slice(0, DIGITS);
  }
}
