/** Records of refused flows, at a pace that nobody who asks can drive up, and in which nobody can hide what is refused. */
import { type FlowRecord, OUTCOMES, type Protocol } from '@weft/proto';
import { type Problems, passing } from '../words/problems.ts';
import { newFlowId } from './flow.ts';
import type { FlowSink } from './recorder.ts';

const WINDOW_MS = 1_000;
/** Of a caller, a service and an outcome in that time. */
const EACH = 8;
/** Of all callers together, for there may be many of them. */
const MOST = 128;
/** Of these, one caller's, be it another host or an address of the internet. */
const SHARE = 32;
/** Callers told apart in that time, of other hosts and of the internet each. Those beyond are one. */
const CALLERS = 64;
/** What one caller's flows are told apart by, as far as there is room: what they claim last, for a peer may claim anything. */
const TIERS = [
  {
    room: 32,
    key: (flow: FlowRecord, service: string) => `${flow.source} ${flow.sourceHost} ${decided(flow, service)}`,
  },
  { room: 512, key: decided },
  { room: 1_024, key: ({ verdict, rule }: FlowRecord) => `${verdict} ${rule}` },
] as const;
/** Numbers of one caller that are told in that time; the next are those that wait longest. */
const NUMBERS = 32;

const MANY_REFUSALS = {
  udp: {
    code: 'many-refusals',
    subject: 'udp',
    message:
      `more than ${EACH} UDP flows a second of one caller to one service are refused, or ${SHARE} of one other host, or ${MOST} of all together, as when a program sends each datagram from another port; ` +
      'one record a second tells their number (weft flows): let the program stop, or see there what it lacks',
  },
  tcp: {
    code: 'many-refusals',
    subject: 'tcp',
    message:
      `more than ${EACH} calls a second by one address of the internet, or by one other host, to one service are refused, or ${SHARE} to all, or ${MOST} of all together; ` +
      'one record a second tells their number (weft flows): see there who calls, and what it lacks',
  },
} as const;

interface Sort {
  /** Those with a record of their own, and those that have none yet, of which the bytes that they sent, and the last. */
  told: number;
  held: number;
  bytesSent: number;
  last: FlowRecord | undefined;
}

/** Strangers take no place of a peer's. */
type Kind = 'own' | 'host' | 'internet';

interface Caller {
  readonly kind: Kind;
  /** In this window, records of their own. */
  told: number;
  /** Those held for the longest first. */
  readonly sorts: Map<string, Sort>;
}

/**
 * Records of refused flows, at a bounded pace where a few who ask could fill the history with them. A program that sends each datagram
 * from a port of its own, to a service that is denied or not there, makes a flow with each, as fast as it sends; a stranger at the
 * gateway makes one with each request, and a peer with each opening. So of flows alike, a few a second have a record each, and one more
 * tells the number of the rest. None is without. The TCP flows of this host's own programs are not held: each is a call that failed.
 */
export class PacedSink implements FlowSink {
  readonly #sink: FlowSink;
  readonly #held: Readonly<Record<Protocol, () => void>>;
  readonly #exists: (service: string) => boolean;
  readonly #callers = new Map<string, Caller>();
  readonly #of: Record<Kind, number> = { own: 0, host: 0, internet: 0 };
  /** In this window, records of their own: those of this host's programs have a share that no stranger and no peer fills. */
  #told = { own: 0, others: 0 };
  #window: NodeJS.Timeout | undefined;
  #stopped: boolean = false;

  /** `exists`: whether the network has a service of that name. A peer may ask for any; what is not there is told as one. */
  constructor(sink: FlowSink, problems: Problems, exists: (service: string) => boolean) {
    this.#sink = sink;
    this.#held = { udp: passing(problems, MANY_REFUSALS.udp), tcp: passing(problems, MANY_REFUSALS.tcp) };
    this.#exists = exists;
  }

  record(flow: FlowRecord, from?: string): void {
    if (this.#stopped || !isRefused(flow) || (flow.protocol === 'tcp' && from === undefined)) {
      this.#sink.record(flow);
      return;
    }
    const caller = this.#callerOf(flow, from);
    const sort = sortOf(caller, flow, this.#exists(flow.service) ? flow.service : '');
    const whose = from === undefined ? 'own' : 'others';
    const share = from === undefined ? MOST : SHARE;
    if (sort.told < EACH && caller.told < share && this.#told[whose] < MOST) {
      sort.told++;
      caller.told++;
      this.#told[whose]++;
      this.#sink.record(flow);
    } else {
      sort.held++;
      sort.bytesSent += flow.bytesSent;
      sort.last = flow;
      this.#held[flow.protocol === 'udp' ? 'udp' : 'tcp']();
    }
    this.#window ??= setTimeout(() => this.#tell(NUMBERS), WINDOW_MS).unref();
  }

  /** Tells of what is held, and holds nothing from now on. */
  stop(): void {
    this.#stopped = true;
    this.#tell(Number.POSITIVE_INFINITY);
  }

  /** What there is no room for stays for the next window, and is held with what comes. */
  #tell(most: number): void {
    clearTimeout(this.#window);
    this.#window = undefined;
    this.#told = { own: 0, others: 0 };
    for (const [name, caller] of this.#callers) {
      caller.told = 0;
      let numbers = 0;
      for (const [key, { held, bytesSent, last }] of caller.sorts) {
        if (last !== undefined && numbers++ >= most) break;
        caller.sorts.delete(key);
        if (last === undefined) continue;
        const detail = `stands for ${held} like it${last.detail === '' ? '' : `: ${last.detail}`}`;
        // The other end may tell of the flow itself, and control would take both for one.
        this.#sink.record({ ...last, id: newFlowId(), bytesSent, detail });
      }
      if (caller.sorts.size > 0) continue;
      this.#callers.delete(name);
      this.#of[caller.kind]--;
    }
    if (this.#callers.size > 0) this.#window = setTimeout(() => this.#tell(NUMBERS), WINDOW_MS).unref();
  }

  #callerOf({ source }: FlowRecord, from: string | undefined): Caller {
    let kind: Kind = 'own';
    if (from !== undefined) kind = source === 'internet' ? 'internet' : 'host';
    const own = `${kind} ${from ?? ''}`;
    const name = this.#callers.has(own) || this.#of[kind] < CALLERS ? own : kind;
    const known = this.#callers.get(name);
    if (known !== undefined) return known;
    const caller = { kind, told: 0, sorts: new Map() };
    this.#callers.set(name, caller);
    this.#of[kind]++;
    return caller;
  }
}

/** What this host has decided, by names that exist. */
function decided({ outcome, protocol, verdict, rule }: FlowRecord, service: string): string {
  return `${service} ${outcome} ${protocol} ${verdict} ${rule}`;
}

function sortOf({ sorts }: Caller, flow: FlowRecord, service: string): Sort {
  let name = '';
  for (const { room, key } of TIERS) {
    const asked = `${room} ${key(flow, service)}`;
    if (!sorts.has(asked) && sorts.size >= room) continue;
    name = asked;
    break;
  }
  const sort = sorts.get(name) ?? { told: 0, held: 0, bytesSent: 0, last: undefined };
  sorts.set(name, sort);
  return sort;
}

function isRefused({ outcome, bytesReceived }: FlowRecord): boolean {
  return bytesReceived === 0 && (outcome === 'denied' || OUTCOMES[outcome].fault);
}
