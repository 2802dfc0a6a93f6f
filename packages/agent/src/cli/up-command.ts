/** weft up: reads what the person gave, then runs the agent until it is stopped. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import {
  type AddressRange,
  addressKind,
  CONTROL_RANGE,
  decodeJoinToken,
  formatHostPort,
  type HostPort,
  inRange,
  isLoopbackRange,
  type JoinToken,
  normalHost,
  parseAddress,
  parseHostPort,
  ServiceManager,
  TokenError,
  toHostName,
  VERSION,
} from '@weft/proto';
import { EMPTY_AGENT_FILE, readAgentFile } from '../config/agent-file.ts';
import { parseDuration } from '../config/duration.ts';
import { parseResolver } from '../config/schema.ts';
import { readVipRange } from '../config/vip-range.ts';
import { createLogger, isLevel } from '../observe/logger.ts';
import type { AgentFileSource } from '../run/reload.ts';
import { UsageError, wrongValue } from './errors.ts';
import { defaultDirectory } from './paths.ts';
import type { Terminal } from './terminal.ts';

export interface UpOptions {
  readonly join?: string;
  readonly joinFile?: string;
  readonly config?: string;
  readonly control?: string;
  readonly data?: string;
  readonly tunnel: string;
  readonly advertise?: string;
  readonly dns: string;
  readonly dnsUpstream?: readonly string[];
  readonly vipRange?: string;
  readonly workers: string;
  readonly native: boolean;
  readonly metrics?: string;
  readonly runSocket?: string;
  readonly drain: string;
}

/** `started` is called once the agent is ready. */
export async function up(
  options: UpOptions,
  terminal: Terminal,
  signal: AbortSignal,
  started: () => void,
): Promise<void> {
  const tunnel = hostPort('--tunnel', options.tunnel, 0);
  const dns = hostPort('--dns', options.dns, 0);
  const dnsUpstreams = options.dnsUpstream?.map(resolver);
  const advertise = options.advertise === undefined ? undefined : hostPort('--advertise', options.advertise, 1);
  const range = vipRange(options.vipRange);
  const workers = workerCount(options.workers);
  const drainMs = drainTime(options.drain);
  const level = terminal.env.WEFT_LOG_LEVEL;
  if (!isLevel(level)) wrongValue('WEFT_LOG_LEVEL', 'debug, info, warn, error or silent', level ?? '');
  terminal.serves?.();
  terminal.stopsWithin?.(drainMs + ENDING_MS);
  const hurry = new AbortController();
  terminal.onSecondSignal?.(() => hurry.abort());
  const metrics = options.metrics === undefined ? undefined : hostPort('--metrics', options.metrics, 0);
  refuseInRange(range, { '--tunnel': tunnel, '--dns': dns, '--metrics': metrics });
  const control = options.control === undefined ? undefined : hostPort('--control', options.control, 1);
  const token = await readToken(options, terminal);
  if (advertise !== undefined) {
    const controls = token && [options.control ?? [], token.addresses].flat();
    refuseUndialable(advertise, range, controls);
  }
  const reload = onHangup(terminal);
  const fileSource = sourceOf(options.config);
  const file = options.config === undefined ? EMPTY_AGENT_FILE : await readAgentFile(options.config);
  // Loaded here and not above: every other command starts faster without the data path.
  const [{ runAgent }, { openTracing }] = await Promise.all([import('../run/agent.ts'), import('@weft/proto/observe')]);
  const logger = createLogger(terminal.env);
  const tracing = await openTracing({ service: 'weft-agent', version: VERSION, logger });
  const manager = new ServiceManager(terminal.env, (error) =>
    logger.warn({ event: 'notify-failed', err: error }, 'systemd could not be told how this agent fares'),
  );
  signal.addEventListener('abort', () => manager.stopping(drainMs + ENDING_MS), { once: true });
  // One that waits for control does not fail, and what starts after it at boot is not held up by that.
  const waiting = setTimeout(() => manager.ready('starting, or waiting for control'), READY_BY_MS).unref();
  const running = runAgent(
    {
      directory: options.data ?? defaultDirectory('weft', terminal.env),
      token,
      control: control && formatHostPort(control.host, control.port),
      file,
      fileSource,
      reloadable: reload.by,
      tunnel,
      advertise: advertise === undefined ? undefined : formatHostPort(advertise.host, advertise.port),
      dns,
      dnsUpstreams,
      range,
      workers,
      native: options.native,
      metrics,
      drainMs,
      hurry: hurry.signal,
      runSocket: options.runSocket,
      fallbackHost: toHostName(hostname()),
      logger,
      tracer: tracing,
      ready: (sentence) => {
        started();
        clearTimeout(waiting);
        manager.ready('serving');
        terminal.out(`weft ready: ${sentence}\n`);
      },
    },
    signal,
  );
  await running.finally(() => {
    clearTimeout(waiting);
    return tracing?.close();
  });
}

/** For all that is behind the drain; each part of it is bounded. */
const ENDING_MS = 5_000;
/** Of systemd's 90 s, after which it would end the agent. */
const READY_BY_MS = 10_000;
const MOST_DRAIN_MS = 3_600_000;

function drainTime(text: string): number {
  const ms = text === '0' ? 0 : parseDuration(text);
  if (ms !== undefined && ms <= MOST_DRAIN_MS) return ms;
  wrongValue('--drain', 'a duration up to 1h, such as 3s, or 0', text);
}

/** The file may have been read when a signal comes that is for another one: what comes too early waits. */
function onHangup(terminal: Terminal) {
  let early: boolean = false;
  let reload: () => void = () => {
    early = true;
  };
  terminal.onHangup?.(() => reload());
  return {
    by: (ask: () => Promise<unknown>) => {
      // How it went is told in the log.
      reload = () => void ask().catch(() => {});
      if (early) reload();
    },
  };
}

/** Stdin has an end. */
function sourceOf(config: string | undefined): AgentFileSource | undefined {
  return config === undefined || config === '-' ? undefined : { name: config, read: () => readAgentFile(config) };
}

/** Threads beyond this cost memory and spread nothing: no machine that runs an agent has so many cores to spare. */
const MOST_WORKERS = 16;

/** Undefined: as many as it takes. */
function workerCount(text: string): number | undefined {
  if (text === 'auto') return undefined;
  const count = Number(text);
  if (/^\d{1,2}$/.test(text) && count >= 1 && count <= MOST_WORKERS) return count;
  wrongValue('--workers', `auto, or a number of threads from 1 to ${MOST_WORKERS}, at most one a core`, text);
}

function vipRange(text: string | undefined): AddressRange {
  if (text === undefined) return CONTROL_RANGE;
  const range = readVipRange(text);
  if (typeof range !== 'string') return range;
  throw new UsageError(`--vip-range ${range}`);
}

/** Outside loopback, a listener among the VIPs would be one that strangers may find, and that looks into no caller's address. */
function refuseInRange(range: AddressRange, listeners: Readonly<Record<string, HostPort | undefined>>): void {
  if (isLoopbackRange(range)) return;
  for (const [option, at] of Object.entries(listeners)) {
    const address = parseAddress(at?.host ?? '');
    if (address !== undefined && inRange(address, range))
      throw new UsageError(
        `${option} must not be within --vip-range, whose addresses are services'; found ${at?.host}`,
      );
  }
}

/**
 * Control drops what no other host can dial. Loopback is right where control sees the agent there, as one of several on its host: without
 * a token, or by a name, only control knows.
 */
function refuseUndialable(advertise: HostPort, range: AddressRange, controls: readonly string[] | undefined): void {
  const host = normalHost(advertise.host);
  const kind = host === undefined ? 'unusable' : addressKind(host);
  const address = parseAddress(host ?? '');
  const controlElsewhere = controls?.every((at) => {
    const control = normalHost(parseHostPort(at)?.host ?? '');
    return control !== undefined && addressKind(control) === 'outside';
  });
  const faults = {
    "a service's own on every host": kind === 'vip' || (address !== undefined && inRange(address, range)),
    "no host's address": kind === 'unusable',
    'within this host, and control is not': kind === 'loopback' && controlElsewhere === true,
  };
  const [fault] = Object.entries(faults).find(([, found]) => found) ?? [];
  if (fault !== undefined)
    throw new UsageError(
      `--advertise takes an address where other hosts find this one; found ${advertise.host}, which is ${fault}`,
    );
}

function resolver(text: string): HostPort {
  const parsed = parseResolver(text);
  if (typeof parsed !== 'string') return parsed;
  throw new UsageError(`--dns-upstream: ${parsed}`);
}

function hostPort(option: string, text: string, minimumPort: number): HostPort {
  const parsed = parseHostPort(text);
  if (parsed !== undefined && parsed.port >= minimumPort) return parsed;
  wrongValue(option, 'HOST:PORT, such as 127.0.0.1:7410', text);
}

/** --join, then --join-file, then WEFT_JOIN. No error shows any part of the token. */
async function readToken(options: UpOptions, terminal: Terminal): Promise<JoinToken | undefined> {
  const { source, text } = await tokenText(options, terminal);
  if (text === undefined) return undefined;
  try {
    return decodeJoinToken(text);
  } catch (error) {
    if (error instanceof TokenError) throw new UsageError(`${source}: ${error.message}`);
    throw error;
  }
}

async function tokenText(
  options: UpOptions,
  terminal: Terminal,
): Promise<{ source: string; text: string | undefined }> {
  if (options.join !== undefined) return { source: '--join', text: options.join };
  if (options.joinFile !== undefined) {
    try {
      return { source: options.joinFile, text: await readFile(options.joinFile, 'utf8') };
    } catch (cause) {
      throw new UsageError(`--join-file ${options.joinFile} cannot be read: ${(cause as Error).message}`);
    }
  }
  return { source: 'WEFT_JOIN', text: terminal.env.WEFT_JOIN || undefined };
}
