/**
 * Spans of how flows are opened. Both ends make the trace's id out of the flow's, which both know: so the destination's span
 * finds its parent without a byte on the wire, and a flow's record leads to its trace.
 */
import { type FlowOutcome, OUTCOMES, type Protocol } from '@weft/proto';
import type { Span, SpanIdentity, Tracer } from '@weft/proto/observe';
import type { NetmapSource } from '../words/netmap.ts';

/** "weftflow": a trace's id is 16 bytes, and a flow's 8. */
const TRACE_PREFIX = '77656674666c6f77';

/** Of the source's span; the destination's is its child. */
export function flowIdentity(flowId: string): SpanIdentity {
  return { traceId: `${TRACE_PREFIX}${flowId}`, spanId: flowId };
}

/** What a flow asks for. */
export interface TracedFlow {
  readonly id: string;
  readonly protocol: Protocol;
  readonly service: string;
  readonly port: number;
  /** Given where the flow comes from another agent. */
  readonly destinationHost?: string;
}

/** What was decided of it, as its record has it. */
export interface TracedVerdict {
  readonly allowed: boolean;
  readonly rule: string;
  readonly revision: number;
  readonly source: string;
}

/** How a step went, in the words of a refusal. */
type StepResult =
  | { readonly opened: true }
  | { readonly opened: false; readonly refusal: { readonly code: string; readonly detail: string } };

/** A step to an instance: a tunnel's stream, or a program's socket. */
export interface FlowStep {
  end(result: StepResult): void;
}

export class FlowTracer {
  readonly #tracer: Tracer;
  readonly #netmap: NetmapSource;

  constructor(tracer: Tracer, netmap: NetmapSource) {
    this.#tracer = tracer;
    this.#netmap = netmap;
  }

  /** Undefined when this trace is not kept. */
  begin({ id, service, port, protocol, destinationHost }: TracedFlow): FlowSpan | undefined {
    const { self } = this.#netmap.current;
    const values = {
      'weft.flow_id': id,
      'weft.network': self?.network ?? '',
      'weft.host': self?.host ?? '',
      'weft.service': service,
      'weft.port': port,
      'weft.protocol': protocol,
    };
    const identity = flowIdentity(id);
    const span =
      destinationHost === undefined
        ? this.#tracer.start({ name: 'weft.flow.connect', kind: 'client', values, identity })
        : this.#tracer.start({
            name: 'weft.flow.accept',
            kind: 'server',
            values,
            parent: { ...identity, sampled: undefined },
          });
    return span && new FlowSpan(span);
  }
}

/** From the accept to the answer. */
export class FlowSpan {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  judged({ allowed, rule, revision, source }: TracedVerdict): void {
    const verdict = { 'weft.verdict': allowed ? 'allow' : 'deny', 'weft.rule': rule, 'weft.revision': revision };
    this.#span.set({ 'weft.source': source, ...verdict });
    this.#span.event('weft.verdict', verdict);
  }

  /** How many instances it can be tried at. */
  chosen(candidates: number): void {
    this.#span.event('weft.instances', { 'weft.candidates': candidates });
  }

  /** A try at an instance: `tunnel.open` to another agent, `target.dial` to a program of this host. */
  step(name: 'tunnel.open' | 'target.dial', instance: string, host: string): FlowStep {
    const step = this.#span.child(`weft.${name}`, { 'weft.instance': instance, 'weft.destination_host': host });
    return {
      end: (result) => {
        step.set({ 'weft.outcome': result.opened ? 'open' : result.refusal.code });
        if (!result.opened && result.refusal.code !== 'denied') step.fail(result.refusal.detail);
        step.end();
      },
    };
  }

  /** The flow is open, or has ended before it was. `instance` where it got to one. */
  end(outcome: 'open' | FlowOutcome, detail: string, instance: string): void {
    this.#span.set({ 'weft.outcome': outcome, ...(instance === '' ? {} : { 'weft.instance': instance }) });
    if (outcome !== 'open' && OUTCOMES[outcome].fault) this.#span.fail(detail);
    this.#span.end();
  }
}
