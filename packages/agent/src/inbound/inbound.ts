/** The agent's inbound side: flows that peers open, and how this host's own programs fare. */
import type { InstanceReport } from '@weft/proto';
import type { Logger } from 'pino';
import type { AgentService } from '../config/agent-file.ts';
import type { FlowRegistry } from '../connections/registry.ts';
import type { NetmapSource } from '../netmap/types.ts';
import type { Problems } from '../observe/types.ts';
import type { InboundHandler } from '../tunnel/types.ts';
import { createDialer, type TargetDialer } from './dial.ts';
import { createFlowHandler } from './handler.ts';
import type { ListenerTable } from './listener-table.ts';
import { TargetWatch } from './target-watch.ts';

export interface InboundOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly problems: Problems;
  readonly log: Logger;
  /** Ends the watch of the targets when aborted. */
  readonly signal: AbortSignal;
  /** Idle time of a UDP flow, milliseconds. */
  readonly idleMs?: number;
  /** How often targets are looked at, milliseconds. */
  readonly watchMs?: number;
  /** What listens on this host; undefined where the kernel does not tell. */
  readonly readTable?: () => Promise<ListenerTable | undefined>;
}

export interface Inbound extends InboundHandler {
  /** One entry for each service that runs here, by name: for the report to control. */
  report(): readonly InstanceReport[];
  /** Called when the report, or what the outbound side may listen on, changed. */
  onChange(listener: () => void): void;
  /** Resolves after the first look at the targets; until then none is well. Looks each second from then on. */
  start(): Promise<void>;
  readonly services: ReadonlyMap<string, AgentService>;
  readonly watch: TargetWatch;
  readonly dialer: TargetDialer;
}

export function createInbound(options: InboundOptions): Inbound {
  const { netmap, registry, services, problems, log, signal } = options;
  const watch = new TargetWatch({
    netmap,
    services,
    problems,
    signal,
    ...(options.watchMs === undefined ? {} : { intervalMs: options.watchMs }),
    ...(options.readTable === undefined ? {} : { readTable: options.readTable }),
  });
  const dialer = createDialer({ netmap, services, answers: (target, protocol) => watch.answers(target, protocol) });
  const handler = createFlowHandler({
    netmap,
    registry,
    declared: services,
    dialer,
    log,
    ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
  });
  return {
    ...handler,
    report: () => watch.report(),
    onChange: (listener) => watch.onChange(listener),
    start: () => watch.start(),
    services,
    watch,
    dialer,
  };
}
