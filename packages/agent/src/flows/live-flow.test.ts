import type { FlowOutcome } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import type { FlowRequest, Judged } from './judge.ts';
import { LiveFlow } from './live-flow.ts';
import { FlowTraffic } from './traffic.ts';

const request: FlowRequest = {
  id: '00000000000000aa',
  protocol: 'tcp',
  service: 'redis',
  port: 6379,
  claimed: { source: 'web', host: 'build-3' },
  identify: () => undefined,
};
const permitted: Judged = {
  allowed: true,
  rule: 'default',
  revision: 4,
  source: 'web',
  sourceHost: 'build-3',
  client: '',
};

interface Options {
  readonly request?: FlowRequest;
  readonly judged?: Judged;
  readonly traffic?: FlowTraffic;
}

function live({ request: asked = request, judged = permitted, traffic }: Options = {}) {
  const ends: FlowOutcome[] = [];
  const flow = new LiveFlow(asked, judged, undefined, 1_000, traffic, (_flow, outcome) => ends.push(outcome));
  return { flow, ends };
}

describe('a live flow', () => {
  it('is counted under the names that its record bears', () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { flow } = live({ traffic });
    flow.reached('redis/0', 'build-4');
    flow.opened();
    const names = { source: 'web', sourceHost: 'build-3', service: 'redis', destinationHost: 'build-4' };
    expect(traffic.take(10).pairs).toMatchObject([{ ...names, open: 1, opened: 1 }]);
    expect(traffic.series()).toMatchObject([{ source: 'web', service: 'redis', reporter: 'source', opened: 1 }]);
    expect(flow.record(1_005, 'closed', '')).toMatchObject({ ...names, instance: 'redis/0', durationMs: 5 });
  });

  it('is timed until its caller has an answer, where metrics are asked for', async () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { flow } = live({ traffic });
    await new Promise((resolve) => setTimeout(resolve, 20));
    flow.opened();
    const [series] = traffic.series();
    expect(series?.setup.sum).toBeGreaterThan(0.01);
    expect(series?.setup.sum).toBeLessThan(5);
  });

  it('that its destination gave back before it began is its source’s alone', () => {
    for (const [place, told] of [
      [{ destinationHost: 'build-4' }, 0],
      [{}, 1],
    ] as const) {
      const traffic = new FlowTraffic({ metrics: true });
      const { flow } = live({ request: { ...request, ...place }, traffic });
      flow.handOver();
      flow.countEnd('unreachable', 1_005);
      expect(traffic.series()).toHaveLength(told);
      expect(traffic.take(10).pairs).toEqual([]);
    }
  });

  it('begins once, and not when it has ended', () => {
    const traffic = new FlowTraffic();
    const { flow } = live({ traffic });
    flow.opened();
    flow.opened();
    const { flow: ended } = live({ traffic });
    ended.end('reset');
    ended.opened();
    expect(traffic.take(10).pairs).toMatchObject([{ open: 1, opened: 1 }]);
  });

  it('ends once, as it ended first', () => {
    const { flow, ends } = live();
    flow.end('closed');
    flow.end('reset');
    flow.cut(undefined, 'late');
    expect([ends, flow.outcome, flow.live]).toEqual([['closed'], 'closed', false]);
  });

  it('that has ended is not cut', () => {
    const { flow } = live();
    const cuts: string[] = [];
    flow.onCut((reason) => cuts.push(reason));
    flow.end('closed');
    flow.cut(undefined, 'revoked');
    expect(cuts).toEqual([]);
  });

  it.each([
    ['', 'client 203.0.113.9'],
    ['the service is gone', 'client 203.0.113.9: the service is gone'],
  ])('of a client of the gateway names it, beside %j', (detail, told) => {
    const { flow } = live({ judged: { ...permitted, source: 'internet', client: '203.0.113.9' } });
    expect(flow.record(1_005, 'cut', detail).detail).toBe(told);
  });

  it('keeps its caller and client in the record of the rule that cut it', () => {
    const { flow } = live({ judged: { ...permitted, client: '203.0.113.9' } });
    const denial: Judged = { ...permitted, allowed: false, rule: 'no', revision: 5, source: 'host:x', sourceHost: 'x' };
    flow.cut(denial, 'denied');
    const record = flow.record(1_005, 'cut', 'denied');
    expect(record).toMatchObject({ source: 'web', sourceHost: 'build-3', verdict: 'deny', rule: 'no', revision: 5 });
    expect(record.detail).toBe('client 203.0.113.9: denied');
  });

  it('lasts no less than nothing when the clock is set back', () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { flow } = live({ traffic });
    flow.opened();
    flow.countEnd('closed', 10);
    expect(flow.record(10, 'closed', '').durationMs).toBe(0);
    expect(traffic.series()[0]?.duration.sum).toBe(0);
  });
});
