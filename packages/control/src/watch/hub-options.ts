/** What the agents' end of control is made of, and what it tells of its streams. */
import type { Vocabulary } from '@weft/proto';
import type { Logger } from 'pino';
import type { AuditLog } from '../audit/types.ts';
import type { ReportMemory } from '../fleet/memory.ts';
import type { Timing } from '../fleet/timing.ts';
import type { FlowWindow } from '../flows/window.ts';
import type { StateStore } from '../state/types.ts';
import type { Traffic } from '../traffic/types.ts';
import type { Receipts } from './older-data.ts';

type MessageKind = 'hello' | 'standing' | 'ack' | 'report' | 'flows' | 'resync' | 'telemetry';

/** What is counted of the agents' streams; the counting itself is for who asks. */
export interface StreamObserver {
  message(kind: MessageKind): void;
  /** `dropped` by the agent's own count, `refused` by control. */
  flows(counts: { readonly taken: number; readonly dropped: number; readonly refused: number }): void;
  telemetryRefused(): void;
  /** A connected agent enforces a revision, this many milliseconds after it came out. */
  enforced(afterMs: number): void;
}

export interface HubOptions {
  readonly state: StateStore;
  readonly flows: FlowWindow;
  readonly traffic: Traffic;
  /** SHA-256 of control's public key, 32 bytes: part of what agents sign. */
  readonly pin: Uint8Array;
  /** Names this run of control, so that an agent never takes another run's indexes for this one's. */
  readonly timeline: string;
  readonly receipts: Receipts;
  /** What agents have heard of beyond control's data is lost, by an operator's word. */
  readonly acceptOlderData: boolean;
  readonly audit: Pick<AuditLog, 'record'>;
  /** Agents that are served at once: each holds a connection for as long as it is there. */
  readonly mostAgents: number;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Where agents are told that control can be reached, HOST:PORT; nowhere when left out. */
  readonly controlAddresses?: readonly string[];
  /** What is known of agents that are not back yet after a restart of control. */
  readonly memory?: ReportMemory;
  readonly observer?: StreamObserver;
  readonly timing?: Partial<Timing>;
  /** Which capability brought each word of a netmap; as this version knows it when left out. */
  readonly words?: Vocabulary;
}
