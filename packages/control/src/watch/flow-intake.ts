/** Flow records as they come from an agent, and what it is told of them. It may tell of flows at its own host and of no others. */
import { FLOW_TEXTS, type FlowRecord, WIRE_LIMITS } from '@weft/proto';
import { flowBatchFromWire, type pb } from '@weft/proto/wire';

export interface AcceptedFlows {
  readonly records: FlowRecord[];
  /** Lost before they were sent, by the agent's own count. */
  readonly dropped: number;
  /** Out of form, of other hosts, or too many in one batch. */
  readonly refused: number;
}

export function acceptFlows(batch: pb.FlowBatch, host: string): AcceptedFlows {
  const dropped = Number.isSafeInteger(batch.dropped) ? Math.min(batch.dropped, MAX_DROPPED) : MAX_DROPPED;
  const readable = flowBatchFromWire({ records: batch.records.slice(0, WIRE_LIMITS.flowBatch), dropped });
  const records = readable.records.filter(
    ({ sourceHost, destinationHost }) => sourceHost === host || destinationHost === host,
  );
  return { records, dropped, refused: batch.records.length - records.length };
}

/** Bytes of a record that count as one: twice what most have. */
const BYTES_PER_RECORD = 512;
/** Of its numbers. */
const NUMBER_BYTES = 64;

/** What a batch costs to take in, in records: one of long texts is several. */
export function flowCost({ records }: pb.FlowBatch): number {
  let bytes = 0;
  for (const record of records) {
    bytes += NUMBER_BYTES;
    for (const name of FLOW_TEXTS) bytes += record[name].length;
  }
  return Math.max(records.length, bytes / BYTES_PER_RECORD);
}

/** A count above this in one batch is a lie; believing it would only spoil the sum. */
const MAX_DROPPED = 1e9;

/** Batches waited for at once: an honest agent waits for an answer to its fourth. */
const MOST_WAITING = 16;

/**
 * Tells an agent which of its batches are on disk, or counted as lost. Numbers only grow, so that while an answer is on its way the newest alone
 * is kept: an agent that sends and does not read costs no memory.
 */
export class FlowAnswers {
  readonly #send: (sequence: number, done: () => void) => void;
  #newest = 0;
  #told = 0;
  #sending: boolean = false;
  #waiting = 0;

  constructor(send: (sequence: number, done: () => void) => void) {
    this.#send = send;
  }

  /** What to call once the batch is settled. Who sends more than it should before it is answered gets no answer to that. */
  expect(sequence: number): () => void {
    if (this.#waiting >= MOST_WAITING) return () => {};
    this.#waiting += 1;
    return () => {
      this.#waiting -= 1;
      this.took(sequence);
    };
  }

  /** 0 is a batch that nobody counts. */
  took(sequence: number): void {
    if (!Number.isSafeInteger(sequence) || sequence <= this.#newest) return;
    this.#newest = sequence;
    this.#tell();
  }

  #tell(): void {
    if (this.#sending || this.#told === this.#newest) return;
    this.#sending = true;
    this.#told = this.#newest;
    this.#send(this.#told, () => {
      this.#sending = false;
      this.#tell();
    });
  }
}
