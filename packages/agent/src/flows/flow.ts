/** A flow as those who ask for it and those who carry it know it. */

import { randomFillSync } from 'node:crypto';
import type { FlowOutcome } from '@weft/proto';
import type { SpliceResult } from '../bytes/splice.ts';
import { TunnelEndedError } from '../tunnel/errors.ts';
import type { Netmap } from '../words/netmap.ts';
import type { FlowSpan } from './tracing.ts';

/** What a flow stood on is gone, though the policy would permit it. */
export interface Loss {
  readonly reason: string;
  /** Who is left to tell of it: `here` also when the flow had been handed over to the destination. */
  readonly witness: 'here' | 'destination';
}

/** A live flow. Whoever carries it counts its bytes, tells where it went, and ends it. */
export interface Flow {
  readonly id: string;
  /** Payload bytes from the caller to the service, and back. Advanced by the byte path. */
  bytesSent: number;
  bytesReceived: number;
  /** False once it has ended or was cut. */
  readonly live: boolean;
  /** How it ended; undefined while it is live. */
  readonly outcome: FlowOutcome | undefined;
  /** Of its opening, while that lasts and where it is traced. */
  readonly span: FlowSpan | undefined;
  /** The caller has its answer: the opening is over, and the flow counts as open, here or where it was handed over to. */
  opened(): void;
  /** The instance that answered, such as redis/0, and its host. */
  reached(instance: string, host: string, lost?: (netmap: Netmap) => Loss | undefined): void;
  /** The destination agent has the flow now, and with it the duty to record. */
  handOver(): void;
  /**
   * The tunnel under the flow ended, and so the flow failed. Its source may be the only one left to tell: the record is
   * written there as well, and should both come, control keeps the destination's.
   */
  sever(): void;
  /** Called once when the flow loses its permission, or at once when it has already. Ended flows are not cut. */
  onCut(cut: (reason: string) => void): void;
  /**
   * To be called when a flow that was cut here is let go of while its peer still has it: the peer may not have heard of what cut
   * it, and would tell of a reset by the caller. Then the record of the denial is written here as well; control joins the two.
   */
  cutAlone(): void;
  /** Takes the flow off the registry and records it. Later calls do nothing. */
  end(outcome: FlowOutcome, detail?: string): void;
}

/** Work for a flow that goes wrong in an unforeseen way ends the flow all the same, with its one record. */
export async function endingWith<Result>(flow: Flow, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    flow.end('unreachable', 'an error inside the agent');
    throw cause;
  }
}

const FLOW_ID_BYTES = 8;
/** Of this thread, for many flows at once: to ask the system for each costs more than the rest of a flow's admission. */
const randomness = Buffer.allocUnsafeSlow(256 * FLOW_ID_BYTES);
let used = randomness.length;

/** 16 hexadecimal digits at random: records of both ends carry the same, and nobody guesses another's. */
export function newFlowId(): string {
  if (used === randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  used += FLOW_ID_BYTES;
  return randomness.toString('hex', used - FLOW_ID_BYTES, used);
}

/** Milliseconds without a datagram either way after which a UDP flow is over; who calls ends it. */
export const UDP_IDLE_MS = 60_000;
/** The same at the port of names: whoever asked has given up by then, and is told nothing later, unasked. */
const NAMES_IDLE_MS = 15_000;
const NAMES_PORT = 53;

/** Whether each datagram to it is a question, which one comes back for. */
export function isOfNames(port: number): boolean {
  return port === NAMES_PORT;
}

/** Of a flow to that port; `idleMs` at any other. */
export function flowIdleMs(port: number, idleMs: number = UDP_IDLE_MS): number {
  return isOfNames(port) ? Math.min(idleMs, NAMES_IDLE_MS) : idleMs;
}

/**
 * The same of a conversation: who asked more than once and was answered may be told more later, unasked, at the address and port that the server knows
 * it by (two minutes: RFC 4787, section 4.3). Also of the end that is called, which does not know of what was lost on its way.
 */
export function conversationMs(port: number, idleMs: number = UDP_IDLE_MS): number {
  return isOfNames(port) ? flowIdleMs(port, idleMs) : 2 * idleMs;
}

/** In a record's words. */
export function idleFor(ms: number): string {
  return `idle for ${Math.round(ms / 1000)} s`;
}

/** The tunnel under a UDP flow closed it, or its end of the path did. */
export function endDatagrams(flow: Flow, cause: Error | undefined): void {
  if (!(cause instanceof TunnelEndedError)) {
    flow.end('closed');
    return;
  }
  flow.sever();
  flow.end('reset', cause.message);
}

/**
 * How a spliced flow ended, in a record's words. The caller is side `a`, the service side `b`. Of a tunnel that ended neither
 * of them is blamed: each end of it takes the other one for silent, and which of the two fell silent neither can know. `called`: what
 * is on the service's side.
 */
export function endingOf(
  { how, failedSide, cause }: SpliceResult,
  called = 'the service',
): [outcome: FlowOutcome, detail: string] {
  if (how === 'closed') return ['closed', ''];
  if (cause instanceof TunnelEndedError) return [how, cause.message];
  const side = failedSide === 'b' ? called : 'the caller';
  return [how, `reset by ${side}${cause === undefined ? '' : `: ${cause.message}`}`];
}
