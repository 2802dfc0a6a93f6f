/** The agent's inbound side: flows that peers open, and how this host's own programs fare. */
import { defined } from '@weft/proto';
import type { Logger } from 'pino';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { AgentService } from '../config/agent-file.ts';
import type { FlowRegistry } from '../flows/registry.ts';
import type { InboundHandler } from '../tunnel/types.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import { createDialer, type TargetDialer } from './dial.ts';
import type { Exposure } from './exposure.ts';
import { createFlowHandler } from './handler.ts';
import type { Inside } from './inside.ts';
import type { TableReader } from './listener-table.ts';
import type { SeenWildcards } from './seen-wildcards.ts';
import { HeldDatagrams } from './target-datagrams.ts';
import { type LocalTargets, TargetWatch } from './target-watch.ts';

interface InboundPathOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly log: Logger;
  readonly files: OpenFiles;
  readonly problems: Problems;
  readonly inside?: Inside;
  /** Idle time of a UDP flow, milliseconds. */
  readonly idleMs?: number;
}

export interface InboundOptions extends InboundPathOptions {
  /** Ends the watch of the targets when aborted. */
  readonly signal: AbortSignal;
  /** How often targets are looked at, milliseconds. */
  readonly watchMs?: number;
  /** Which ports this host's programs took on every address, kept beyond this run. */
  readonly wildcards?: SeenWildcards;
  readonly exposure?: Exposure;
  /** What listens on this host; undefined where the kernel does not tell. */
  readonly readTable?: TableReader;
}

/** Takes flows to this host's programs. */
export interface InboundPath extends InboundHandler {
  readonly services: ReadonlyMap<string, AgentService>;
  readonly dialer: TargetDialer;
}

export interface Inbound extends InboundPath {
  /** Of this host's programs; until it was started none is well. */
  readonly watch: TargetWatch;
}

export function createInbound(options: InboundOptions): Inbound {
  const { netmap, services, problems, signal } = options;
  const watch = new TargetWatch({
    netmap,
    services,
    problems,
    signal,
    ...defined({
      inside: options.inside,
      intervalMs: options.watchMs,
      wildcards: options.wildcards,
      readTable: options.readTable,
      exposure: options.exposure,
    }),
  });
  return { ...createInboundPath(options, watch), watch };
}

/** For a thread that is told of the targets and does not watch them. */
export function createInboundPath(
  options: InboundPathOptions,
  targets: Pick<LocalTargets, 'answers' | 'other' | 'others' | 'onChange'>,
): InboundPath {
  const { netmap, registry, services, log, files, problems, inside } = options;
  const held = new HeldDatagrams();
  const dialer = createDialer({ netmap, services, watched: targets, files, held, problems, ...defined({ inside }) });
  const handler = createFlowHandler({
    netmap,
    registry,
    declared: services,
    dialer,
    held,
    log,
    ...defined({ idleMs: options.idleMs }),
  });
  return { ...handler, services, dialer };
}
