import type { Span, SpanRequest, SpanValues, Tracer } from '@weft/proto/observe';
import { expect, test } from 'vitest';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import { FlowTracer, flowIdentity } from './tracing.ts';

const ID = '00f067aa0ba902b7';
const FLOW = { id: ID, protocol: 'tcp', service: 'redis', port: 6379 } as const;
const IDENTITY = { traceId: `77656674666c6f77${ID}`, spanId: ID };

/** Of each span what it was begun with and what was said of it, in order. */
class Told implements Tracer {
  readonly requests: SpanRequest[] = [];
  readonly said: unknown[][] = [];

  start(request: SpanRequest): Span {
    this.requests.push(request);
    return this.#span(request.name);
  }

  #span(name: string): Span {
    return {
      child: (step, values) => {
        this.said.push([name, 'child', step, values]);
        return this.#span(step);
      },
      set: (values: SpanValues) => void this.said.push([name, 'set', values]),
      event: (event) => void this.said.push([name, 'event', event]),
      fail: (reason) => void this.said.push([name, 'fail', reason]),
      end: () => void this.said.push([name, 'end']),
    };
  }
}

const self = { network: 'prod', host: 'front' };
const netmap = { current: { self } as unknown as Netmap } as NetmapSource;

test('the source begins the trace that the flow names, and the destination finds its parent by it', () => {
  const told = new Told();
  const tracer = new FlowTracer(told, netmap);
  tracer.begin(FLOW);
  tracer.begin({ ...FLOW, destinationHost: 'data' });
  const [connect, accept] = told.requests;
  expect(flowIdentity(ID)).toEqual(IDENTITY);
  expect(connect).toMatchObject({ name: 'weft.flow.connect', kind: 'client', identity: IDENTITY });
  expect(connect?.parent).toBeUndefined();
  // Undefined: whether it is kept is for the id to decide, at both ends alike.
  expect(accept).toMatchObject({
    name: 'weft.flow.accept',
    kind: 'server',
    parent: { ...IDENTITY, sampled: undefined },
  });
  expect(accept?.identity).toBeUndefined();
});

test('a flow that is not sampled has no span', () => {
  expect(new FlowTracer({ start: () => undefined }, netmap).begin(FLOW)).toBeUndefined();
});

test.each([
  ['open', undefined],
  ['denied', undefined],
  ['cut', undefined],
  ['reset', undefined],
  ['unreachable', 'why'],
  ['no-instance', 'why'],
] as const)('a flow that ends as %s fails with %s', (outcome, failure) => {
  const told = new Told();
  new FlowTracer(told, netmap).begin(FLOW)?.end(outcome, 'why', '');
  expect(told.said.find(([, what]) => what === 'fail')?.[2]).toBe(failure);
  expect(told.said.at(-1)).toEqual(['weft.flow.connect', 'end']);
});

test('a step that the destination denies is no fault of the step', () => {
  const told = new Told();
  const step = new FlowTracer(told, netmap).begin(FLOW)?.step('tunnel.open', 'redis/0', 'data');
  step?.end({ opened: false, refusal: { code: 'denied', detail: 'by a rule' } });
  expect(told.said).toEqual([
    ['weft.flow.connect', 'child', 'weft.tunnel.open', { 'weft.instance': 'redis/0', 'weft.destination_host': 'data' }],
    ['weft.tunnel.open', 'set', { 'weft.outcome': 'denied' }],
    ['weft.tunnel.open', 'end'],
  ]);
});
