/**
 * Records of refused UDP, at a bounded pace. A program that sends each datagram from a port of its own, to a service that is denied
 * or not there, makes a flow with each, as fast as it sends: so of flows alike, a few a second have a record each, and one more
 * tells the number of the rest. None is without.
 */
import { type FlowRecord, OUTCOMES } from '@weft/proto';
import { type Problems, passing } from '../words/problems.ts';
import { newFlowId } from './flow.ts';
import type { FlowSink } from './recorder.ts';

const WINDOW_MS = 1_000;
/** Of a caller, a service and an outcome in that time. */
const EACH = 8;
/** Sorts of flows told apart in that time: a peer may ask for any service, and as anybody. Those beyond are told as one. */
const SORTS = 64;

interface Sort {
  count: number;
  /** Of those that have no record yet. */
  last: FlowRecord | undefined;
}

export class PacedSink implements FlowSink {
  readonly #sink: FlowSink;
  readonly #held: () => void;
  readonly #sorts = new Map<string, Sort>();
  #window: NodeJS.Timeout | undefined;
  #stopped: boolean = false;

  constructor(sink: FlowSink, problems: Problems) {
    this.#sink = sink;
    this.#held = passing(problems, {
      code: 'many-refusals',
      subject: 'udp',
      message:
        `more than ${EACH} UDP flows a second of one caller to one service are refused, as when a program sends each datagram from another port; ` +
        'one record a second tells their number (weft flows): let the program stop, or see there what it lacks',
    });
  }

  record(flow: FlowRecord): void {
    if (this.#stopped || !isRefused(flow)) {
      this.#sink.record(flow);
      return;
    }
    const sort = this.#sortOf(flow);
    sort.count++;
    if (sort.count > EACH) {
      sort.last = flow;
      this.#held();
    } else this.#sink.record(flow);
    this.#window ??= setTimeout(() => this.#tell(), WINDOW_MS).unref();
  }

  /** Tells of what is held, and holds nothing from now on. */
  stop(): void {
    this.#stopped = true;
    this.#tell();
  }

  #tell(): void {
    clearTimeout(this.#window);
    this.#window = undefined;
    for (const { count, last } of this.#sorts.values()) {
      if (last === undefined) continue;
      const detail = `stands for ${count - EACH} like it${last.detail === '' ? '' : `: ${last.detail}`}`;
      // The other end may tell of the flow itself, and control would take both for one.
      this.#sink.record({ ...last, id: newFlowId(), detail });
    }
    this.#sorts.clear();
  }

  #sortOf({ source, sourceHost, service, outcome }: FlowRecord): Sort {
    const name = `${source} ${sourceHost} ${service} ${outcome}`;
    const key = this.#sorts.has(name) || this.#sorts.size < SORTS ? name : '';
    const sort = this.#sorts.get(key) ?? { count: 0, last: undefined };
    this.#sorts.set(key, sort);
    return sort;
  }
}

function isRefused({ protocol, outcome, bytesReceived }: FlowRecord): boolean {
  return protocol === 'udp' && bytesReceived === 0 && (outcome === 'denied' || OUTCOMES[outcome].fault);
}
