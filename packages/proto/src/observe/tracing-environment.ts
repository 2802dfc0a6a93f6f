/** What OpenTelemetry's standard variables say, as its own SDK reads them. The exporter reads those of its own itself. */

type Environment = Readonly<Record<string, string | undefined>>;

/** Where spans go, and unless it is named there are none: the default of localhost is for programs whose purpose is to trace. */
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

export function tracingWanted(env: Environment): boolean {
  if (text(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return false;
  // A list of exporters; this program has one, and does without where it is not among them.
  const exporters = text(env, 'OTEL_TRACES_EXPORTER')
    ?.split(',')
    .map((each) => each.trim());
  if (exporters !== undefined && !exporters.includes('otlp')) return false;
  return ENDPOINTS.some((name) => text(env, name) !== undefined);
}

export type Endpoint =
  /** The host, and the port where one is given. */
  | { readonly readable: true; readonly host: string }
  /** The variable whose value is no URL. */
  | { readonly readable: false; readonly variable: string };

/** Where spans go. Undefined when nothing names it. */
export function readEndpoint(env: Environment): Endpoint | undefined {
  const variable = ENDPOINTS.find((name) => text(env, name) !== undefined);
  if (variable === undefined) return undefined;
  const url = URL.parse(text(env, variable) ?? '');
  // Without http:// the host would be taken for a scheme.
  if (url === null || !/^https?:$/.test(url.protocol)) return { readable: false, variable };
  // Never the rest of it, where credentials may be.
  return { readable: true, host: url.host };
}

export interface Sampling {
  /** False when a parent's decision is not asked for. */
  readonly parentBased: boolean;
  /** Of traces that begin here, the share that is kept, from 0 to 1, decided by the trace's id. */
  readonly ratio: number;
  /** What could not be read, for the log; the usual is done instead. */
  readonly unread: string | undefined;
}

const USUAL: Sampling = { parentBased: true, ratio: 1, unread: undefined };

export function readSampling(env: Environment): Sampling {
  const name = text(env, 'OTEL_TRACES_SAMPLER');
  if (name === undefined) return USUAL;
  const parentBased = name.startsWith('parentbased_');
  switch (parentBased ? name.slice('parentbased_'.length) : name) {
    case 'always_on':
      return { ...USUAL, parentBased };
    case 'always_off':
      return { ...USUAL, parentBased, ratio: 0 };
    case 'traceidratio':
      return { ...readRatio(text(env, 'OTEL_TRACES_SAMPLER_ARG')), parentBased };
    default:
      return { ...USUAL, unread: `OTEL_TRACES_SAMPLER=${name}` };
  }
}

function readRatio(argument: string | undefined): Sampling {
  if (argument === undefined) return USUAL;
  const ratio = Number(argument);
  if (ratio >= 0 && ratio <= 1) return { ...USUAL, ratio };
  return { ...USUAL, unread: `OTEL_TRACES_SAMPLER_ARG=${argument}` };
}

/** Bounds of the queue to the collector. Milliseconds and spans. */
export interface BatchBounds {
  readonly delayMs: number;
  readonly queued: number;
  readonly batch: number;
  /** For one batch with all tries. */
  readonly exportMs: number;
}

/**
 * At a stop, what is under way may hold up the process for as long as a batch may take. So this is the most, whatever the
 * variables say, and what is unset as well.
 */
export const MOST_EXPORT_MS = 2_000;

export function readBatchBounds(env: Environment): BatchBounds {
  const asked =
    text(env, 'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT') === undefined
      ? 'OTEL_EXPORTER_OTLP_TIMEOUT'
      : 'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT';
  return {
    delayMs: count(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000),
    queued: count(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
    batch: count(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
    exportMs: Math.min(count(env, asked, MOST_EXPORT_MS), MOST_EXPORT_MS),
  };
}

/** The protocol that is asked for when it is another than the one spoken here. */
export function otherProtocol(env: Environment): string | undefined {
  const asked = text(env, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? text(env, 'OTEL_EXPORTER_OTLP_PROTOCOL');
  return asked === undefined || asked === 'http/json' ? undefined : asked;
}

function count(env: Environment, name: string, usual: number): number {
  const value = Number(text(env, name) ?? Number.NaN);
  return Number.isInteger(value) && value > 0 ? value : usual;
}

/** An empty variable is an unset one. */
function text(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}
