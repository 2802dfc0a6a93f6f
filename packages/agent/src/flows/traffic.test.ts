import type { PairTraffic, TrafficPair } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import type { Pair } from './pairs.ts';
import type { Reporter } from './series.ts';
import { type CountedFlow, FlowTraffic, type TrafficOptions } from './traffic.ts';

const DENIED = { port: 6379, protocol: 'tcp', rule: 'no-web', revision: 4 } as const;
const ALL = Number.POSITIVE_INFINITY;

function names(source = 'web', service = 'redis'): TrafficPair {
  return { source, sourceHost: 'near', service, destinationHost: 'far' };
}

class TestFlow implements CountedFlow {
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  readonly destinationHost: string;
  readonly reporter: Reporter = 'destination';
  bytesSent = 0;
  bytesReceived = 0;
  pair: Pair | undefined;
  told: boolean = true;
  severed: boolean = false;

  constructor({ source, sourceHost, service, destinationHost }: TrafficPair) {
    this.source = source;
    this.sourceHost = sourceHost;
    this.service = service;
    this.destinationHost = destinationHost;
  }
}

function setup(options: TrafficOptions = {}) {
  let nowMs = 1_000;
  const traffic = new FlowTraffic({ metrics: true, now: () => nowMs, ...options });
  const live = new Set<TestFlow>();
  traffic.follow(live);
  const begin = (pair = names()): TestFlow => {
    const flow = new TestFlow(pair);
    flow.pair = traffic.began(pair, 'destination', true, 2);
    live.add(flow);
    return flow;
  };
  const end = (flow: TestFlow, outcome: 'closed' | 'cut' = 'closed') => {
    live.delete(flow);
    traffic.ended(flow, outcome, 1_500, true);
  };
  const pass = (milliseconds: number) => {
    nowMs += milliseconds;
  };
  return { traffic, begin, end, pass };
}

function sums(pairs: readonly PairTraffic[]) {
  const sum = { open: 0, opened: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
  for (const pair of pairs) for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += pair[name];
  return sum;
}

describe('what is taken', () => {
  it('is of the time since the last, live bytes among it', () => {
    const { traffic, begin, end } = setup();
    const flow = begin();
    flow.bytesSent = 10;
    expect(traffic.take(ALL).pairs).toEqual([
      { ...names(), open: 1, opened: 1, denied: 0, failed: 0, bytesSent: 10, bytesReceived: 0 },
    ]);
    flow.bytesSent = 25;
    flow.bytesReceived = 7;
    expect(traffic.take(ALL).pairs).toMatchObject([{ open: 1, opened: 0, bytesSent: 15, bytesReceived: 7 }]);
    expect(traffic.take(ALL).pairs).toMatchObject([{ open: 1, opened: 0, bytesSent: 0 }]);
    flow.bytesSent = 30;
    end(flow, 'cut');
    expect(traffic.take(ALL).pairs).toMatchObject([{ open: 0, opened: 0, failed: 1, bytesSent: 5, bytesReceived: 0 }]);
    expect(traffic.take(ALL).pairs).toEqual([]);
  });

  it('is told again when it did not arrive', () => {
    const { traffic, begin } = setup();
    const flow = begin();
    flow.bytesSent = 10;
    traffic.stillborn(names(), 'source', true, 'denied', DENIED);
    const { pairs } = traffic.take(ALL);
    traffic.giveBack(pairs);
    flow.bytesSent = 12;
    expect(traffic.take(ALL).pairs).toMatchObject([
      { open: 1, opened: 1, denied: 1, lastDenied: DENIED, bytesSent: 12 },
    ]);
  });

  it('leaves out what moved least, and tells it later in full', () => {
    const { traffic, begin } = setup();
    begin(names('quiet')).bytesSent = 5;
    for (const service of ['a', 'b']) begin(names('loud', service)).bytesSent = 5_000;
    const first = traffic.take(2);
    expect(first).toMatchObject({ pairs: [{ source: 'loud' }, { source: 'loud' }], omitted: 1 });
    const rest = traffic.take(ALL).pairs;
    expect(sums([...first.pairs, ...rest])).toMatchObject({ opened: 3, bytesSent: 10_005 });
  });

  it('has one pair for all that found no room, and loses none of their counts', () => {
    const { traffic, begin } = setup({ metrics: false });
    for (let index = 0; index < 5_003; index++) begin(names(`host:h${index}`)).bytesSent = 1;
    const { pairs } = traffic.take(ALL);
    expect(pairs).toHaveLength(5_001);
    expect(pairs.find(({ source }) => source === 'other')).toMatchObject({ service: 'other', opened: 3, bytesSent: 3 });
    expect(sums(pairs)).toMatchObject({ open: 5_003, opened: 5_003, bytesSent: 5_003 });
  });

  it('lets go of pairs that are idle, and makes room by it', () => {
    const { traffic, begin, end, pass } = setup({ pairs: 2, idleMs: 100 });
    const living = begin(names('living'));
    end(begin(names('gone')));
    traffic.take(ALL);
    pass(101);
    traffic.take(ALL);
    begin(names('new'));
    living.bytesSent = 1;
    expect(
      traffic
        .take(ALL)
        .pairs.map(({ source }) => source)
        .sort(),
    ).toEqual(['living', 'new']);
  });
});

describe('several threads', () => {
  it('are told as one: counts add up, and what lives is as each said last', () => {
    const { traffic, begin } = setup();
    begin().bytesSent = 1;
    const told = { ...names(), open: 2, opened: 3, denied: 0, failed: 1, bytesSent: 100, bytesReceived: 50 };
    traffic.adopt(1, [told]);
    traffic.adopt(2, [{ ...told, open: 1 }]);
    expect(traffic.take(ALL).pairs).toMatchObject([
      { open: 4, opened: 7, failed: 2, bytesSent: 201, bytesReceived: 100 },
    ]);
    traffic.adopt(1, [{ ...told, opened: 0, failed: 0, bytesSent: 0, bytesReceived: 0 }]);
    traffic.adopt(2, []);
    expect(traffic.take(ALL).pairs).toMatchObject([{ open: 3, opened: 0, bytesSent: 0 }]);
  });

  it('share one pair for what found no room', () => {
    const { traffic, begin } = setup({ pairs: 1 });
    begin(names('web'));
    begin(names('mailer'));
    const other = { source: 'other', sourceHost: '', service: 'other', destinationHost: '' };
    traffic.adopt(1, [{ ...other, open: 0, opened: 2, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 }]);
    expect(traffic.take(ALL).pairs).toMatchObject([{ source: 'web' }, { ...other, opened: 3 }]);
  });
});

describe('for metrics', () => {
  it('counts go on for good', () => {
    const { traffic, begin, end } = setup();
    const flow = begin();
    flow.bytesSent = 10;
    traffic.take(ALL);
    const [series] = traffic.series();
    expect(series).toMatchObject({ reporter: 'destination', open: 1, opened: 1, bytesSent: 10 });
    flow.bytesSent = 11;
    end(flow, 'cut');
    traffic.take(ALL);
    expect(traffic.series()).toMatchObject([{ open: 0, opened: 1, failed: { cut: 1 }, bytesSent: 11 }]);
    expect(series?.duration).toMatchObject({ sum: 1.5, counts: [0, 0, 0, 1, 0, 0, 0, 0] });
  });

  it('live bytes of a flow whose pair found no room are seen', () => {
    const { traffic, begin } = setup({ pairs: 0 });
    begin().bytesSent = 1_000;
    expect(traffic.series()).toMatchObject([{ source: 'web', service: 'redis', open: 1, bytesSent: 1_000 }]);
  });

  it('a flow that another agent tells of is seen here all the same', () => {
    const { traffic } = setup();
    const flow = new TestFlow(names());
    flow.told = false;
    flow.pair = traffic.began(names(), 'source', false, 1);
    expect(traffic.take(ALL).pairs).toEqual([]);
    expect(traffic.series()).toMatchObject([{ reporter: 'source', opened: 1 }]);
  });
});
