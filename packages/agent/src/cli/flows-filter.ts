/** What `weft flows` was asked for, as control's filter. A word that cannot match anything is wrong usage, and not an empty list. */
import {
  ADMIN_LIMITS,
  defined,
  FLOW_ID,
  FLOW_NAME_FILTERS,
  FLOW_OUTCOMES,
  type FlowFilter,
  hostNameProblem,
  isOutcome,
  isServiceName,
  WIRE_LIMITS,
} from '@weft/proto';
import { actionCodec, callerToWire, outcomeCodec, type pb, timestampToWire } from '@weft/proto/wire';
import { parseDuration } from '../config/duration.ts';
import type { NetworkOptions } from './admin.ts';
import { UsageError, wrongValue } from './errors.ts';
import type { LocalOptions } from './local-services.ts';

/** Each is an option under the field's own word. */
type PlainFilter = (typeof FLOW_NAME_FILTERS)[number];

export interface FlowsFilterOptions extends Readonly<Partial<Record<PlainFilter, string>>> {
  readonly from?: string;
  readonly to?: string;
  readonly host?: string;
  readonly denied?: true;
  readonly outcome?: string;
  readonly text?: string;
  readonly since?: string;
  readonly until?: string;
  readonly id?: string;
}

export interface FlowsOptions extends NetworkOptions, LocalOptions, FlowsFilterOptions {
  readonly follow?: true;
  readonly open?: true;
  readonly limit?: string;
}

const MEANT: Partial<Record<PlainFilter, string>> = {
  rule: 'the name of a policy, default, or a rule that is built in, such as builtin:worker',
};

/** As the listing writes it, or ISO 8601; by this host's clock where no zone is given. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:?\d\d)?)?$/;

export interface AskedFlows {
  readonly filter: FlowFilter;
  /** Ended at this time or later, and before the other. */
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
}

/** Throws UsageError. */
export function readFlowsFilter(options: FlowsFilterOptions, nowMs: number): AskedFlows {
  const { from, to, host, denied, outcome, text, since, until, id } = options;
  if (from !== undefined && !isSource(from)) wrongValue('--from', 'a service, host:NAME or internet', from);
  if (host !== undefined && hostNameProblem(host) !== undefined) wrongValue('--host', "a host's name", host);
  const plain: Partial<Record<PlainFilter, string>> = {};
  for (const name of FLOW_NAME_FILTERS) {
    const value = options[name];
    if (value === undefined) continue;
    if (value === '' || value.length > WIRE_LIMITS.name) wrongValue(`--${name}`, MEANT[name] ?? 'a name', value);
    plain[name] = value;
  }
  if (outcome !== undefined && !isOutcome(outcome)) {
    wrongValue('--outcome', `one of ${FLOW_OUTCOMES.join(', ')}`, outcome);
  }
  if (text !== undefined && (text === '' || text.length > ADMIN_LIMITS.flowText)) {
    wrongValue('--text', `1 to ${ADMIN_LIMITS.flowText} characters`, text);
  }
  if (id !== undefined && !FLOW_ID.test(id)) wrongValue('--id', '16 hexadecimal digits, as --json shows them', id);
  const fromMs = since === undefined ? undefined : readTime('--since', since, nowMs);
  const toMs = until === undefined ? undefined : readTime('--until', until, nowMs);
  if (fromMs !== undefined && toMs !== undefined && toMs <= fromMs) {
    throw new UsageError('--until takes a time after that of --since');
  }
  const filter = {
    ...defined({ source: from }),
    ...(to === undefined ? {} : readTo(to)),
    ...(denied === undefined ? {} : { verdict: 'deny' as const }),
    ...plain,
    ...defined({ host, outcome, text, id }),
  };
  return { filter, fromMs, toMs };
}

export function filterToWire({ filter, fromMs, toMs }: AskedFlows): pb.Outgoing<pb.FlowFilter> {
  const { source, verdict, outcome, ...rest } = filter;
  return {
    ...rest,
    ...(verdict === undefined ? {} : { verdict: actionCodec.toWire(verdict) }),
    ...(outcome === undefined ? {} : { outcome: outcomeCodec.toWire(outcome) }),
    caller: callerToWire(source ?? ''),
    fromTime: timestampToWire(fromMs ?? 0),
    toTime: timestampToWire(toMs ?? 0),
  };
}

function readTo(to: string): { readonly service: string; readonly port?: number } {
  // People paste what their programs are given.
  const [, service = '', digits] = /^([^:]*?)(?:\.internal\.?)?(?::(\d{1,5}))?$/.exec(to) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  // What calls out of the mesh are recorded for.
  const named = isServiceName(service) || service === 'internet';
  if (!named || port === 0 || (port ?? 0) > 65_535) {
    wrongValue('--to', 'SERVICE or SERVICE:PORT, with a port of 1 to 65535, or internet', to);
  }
  return port === undefined ? { service } : { service, port };
}

function readTime(option: string, text: string, nowMs: number): number {
  const duration = parseDuration(text);
  if (duration !== undefined) return Math.max(1, nowMs - duration);
  const [, day, time = '00:00', zone = ''] = TIME.exec(text) ?? [];
  const ms = day === undefined || !isDay(day) ? Number.NaN : Date.parse(`${day}T${time}${zone}`);
  if (!(ms > 0)) wrongValue(option, 'how long ago, such as 15m or 2h, or a time, such as 2026-03-01T12:30', text);
  return ms;
}

/** Date.parse takes the 30th of February for the 2nd of March. */
function isDay(day: string): boolean {
  const ms = Date.parse(`${day}T00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

function isSource(from: string): boolean {
  if (from.startsWith('host:')) return hostNameProblem(from.slice('host:'.length)) === undefined;
  return from === 'internet' || isServiceName(from);
}
