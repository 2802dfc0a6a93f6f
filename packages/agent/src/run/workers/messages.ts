/** What the main thread and a worker say to each other. All of it is plain values: it is cloned on its way. */
import type { MessagePort } from 'node:worker_threads';
import type {
  NetmapDelta,
  NetmapItem,
  OpenFlows,
  OpenFlowsQuestion,
  PairTraffic,
  PeerTunnels,
  Problem,
} from '@weft/proto';
import type { PassWay } from '../../bytes/inside/pass-sockets.ts';
import type { AgentService } from '../../config/agent-file.ts';
import type { FlowBatch } from '../../flows/recorder.ts';
import type { Position } from '../../netmap/store.ts';
import type { ThreadMeasures } from '../../observe/measures.ts';
import type { ThreadPulse } from '../../observe/telemetry.ts';
import type { ListenerSpec } from '../../outbound/listener-spec.ts';
import type { LinkCounters } from '../../tunnel/context.ts';
import type { UnreachedPeer } from '../../tunnel/types.ts';
import type { CallerSocket, Owner, OwnerProcess } from '../../words/owner.ts';
import type { DataPathCommon } from '../options.ts';

/** What is the same for all workers of an agent. The tunnels' port is the one that the main thread has bound. */
export interface WorkerCommon extends DataPathCommon {
  readonly services: ReadonlyMap<string, AgentService>;
  readonly logLevel: string;
}

/** What a worker begins with. Changes follow as updates. */
export interface WorkerStart extends WorkerCommon {
  /** Of what begins it: see `requireProgram`. */
  readonly program: string;
  /** 1 and up; the main thread is 0. */
  readonly thread: number;
  readonly threads: number;
  readonly netmap: { readonly position: Position; readonly items: readonly NetmapItem[] };
  /** Undefined where it has no port for datagrams. */
  readonly packets: PacketWays | undefined;
  /** How it comes to its connections, of one that listens nowhere itself. */
  readonly passed?: PassWay;
}

/** Ways for tunnels' packets between this thread and the others. */
export interface PacketWays {
  /** By thread; none to itself. */
  readonly ports: readonly (MessagePort | undefined)[];
  /** Int32 per pair: packets on their way from thread i to thread j, at i * threads + j. */
  readonly outstanding: SharedArrayBuffer;
}

/** The newest of each that changed; enforced in this order. */
export interface Update {
  /** Of the agent file, whole. */
  readonly services?: ReadonlyMap<string, AgentService>;
  readonly netmap?: NetmapDelta;
  /** Targets that answer, whole. */
  readonly answering?: ReadonlySet<string>;
  /** By service without `match`, the user who was seen first to listen for it; whole. */
  readonly firstUsers?: ReadonlyMap<string, number>;
  /** Names of users where targets are another's than `match` names, by `otherKey`; whole. */
  readonly others?: ReadonlyMap<string, string>;
  /** By key; null is a listener that is closed. */
  readonly listeners?: ReadonlyMap<string, ListenerSpec | null>;
}

export interface WorkerNumbers {
  readonly flows: number;
  readonly recorded: number;
  readonly tunnel: LinkCounters;
  /** Flows that are bulk. */
  readonly bulk: number;
  /** Told when asked for; they are many in a large network. */
  readonly peers?: readonly PeerTunnels[];
  /** As the peers. */
  readonly unreached?: readonly UnreachedPeer[];
}

export type ToWorker =
  | { readonly type: 'update'; readonly serial: number; readonly update: Update }
  /** Tell the numbers of now. */
  | { readonly type: 'count'; readonly serial: number }
  /** Tell what moved since the last time. */
  | { readonly type: 'pulse'; readonly serial: number }
  /** Tell what metrics are made of. */
  | { readonly type: 'measure'; readonly serial: number }
  /** Tell of flows that are open. */
  | { readonly type: 'open-flows'; readonly serial: number; readonly asked: OpenFlowsQuestion }
  /** The batch of flows is in the main thread's hands. */
  | { readonly type: 'flows-taken' }
  /** Whether to refuse calls of peers that another instance can take. */
  | { readonly type: 'leave'; readonly leaving: boolean }
  /** Who made the call that was asked about, and whether its process is told later. */
  | { readonly type: 'owner'; readonly serial: number; readonly owner: Owner; readonly naming: boolean }
  | { readonly type: 'named'; readonly serial: number; readonly process: OwnerProcess }
  /** Take no more flows from peers by the tunnels of now, or of later, and let those end with their last. */
  | { readonly type: 'leave-tunnels'; readonly forGood: boolean }
  /** Take no more, cut what lives, hand over the records. */
  | { readonly type: 'stop'; readonly reason: string };

export type FromWorker =
  | { readonly type: 'ready' }
  /** The update is enforced, or was not in full. */
  | { readonly type: 'enforced'; readonly serial: number; readonly failure: string | undefined }
  /** Every listener up to this update has been bound or has failed. */
  | { readonly type: 'bound'; readonly serial: number }
  | { readonly type: 'problems'; readonly problems: readonly Problem[] }
  /** Because they changed, or because they were asked for. */
  | { readonly type: 'numbers'; readonly numbers: WorkerNumbers; readonly serial: number | undefined }
  /** Because it was asked for, or the thread ends. */
  | {
      readonly type: 'pulse';
      readonly pulse: ThreadPulse;
      readonly pairs: readonly PairTraffic[];
      readonly serial: number | undefined;
    }
  /** Because they were asked for, or the thread ends. */
  | { readonly type: 'measures'; readonly measures: ThreadMeasures; readonly serial: number | undefined }
  /** Who makes this call? */
  | { readonly type: 'find'; readonly serial: number; readonly caller: CallerSocket }
  | { readonly type: 'open-flows'; readonly open: OpenFlows; readonly serial: number }
  | { readonly type: 'flows'; readonly batch: FlowBatch }
  /** It carries nothing any more, and has handed over its records. Spans may be left to send, and requests in Node's thread pool. */
  | { readonly type: 'over' }
  /** Nothing is left to do here. */
  | { readonly type: 'stopped' };
