/** What the made-up mesh answers to the requests that are no stream. */
import type { FlowHistory, FlowPage, StartView } from '../../src/dashboard/api.ts';
import { filterOf, passes } from '../src/state/flow-filter.ts';
import type { MadeUpMesh } from './mesh.ts';

export interface Asked {
  readonly mesh: MadeUpMesh;
  readonly url: URL;
}

/** Status and body. */
export type Answer = readonly [number, unknown];

const HOUR_MS = 3_600_000;

export function answer(asked: Asked): Answer {
  const [, , name = '', id = ''] = asked.url.pathname.split('/');
  if (name === 'flows') return [200, id === 'history' ? history(asked) : flows(asked)];
  if (name === 'start') return [200, start()];
  return [404, { code: 'not-found', message: 'No such request.' }];
}

function flows({ mesh, url }: Asked): FlowPage {
  const query = Object.fromEntries(url.searchParams);
  const { before, id, fromMs, toMs } = query;
  const limit = Number(query.limit ?? 200);
  const found = mesh.flows
    .filter((flow) => passes(filterOf(query), flow))
    .filter(({ cursor }) => before === undefined || cursor < Number(before))
    .filter((flow) => id === undefined || flow.id === id)
    .filter(({ startedMs }) => fromMs === undefined || startedMs >= Number(fromMs))
    .filter(({ startedMs }) => toMs === undefined || startedMs < Number(toMs))
    .reverse();
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return { flows: page, ...(found.length > limit && last !== undefined ? { older: last.cursor } : {}) };
}

function history({ mesh, url }: Asked): FlowHistory {
  const query = Object.fromEntries(url.searchParams);
  const toMs = Number(query.toMs ?? Date.now());
  const fromMs = Number(query.fromMs ?? toMs - HOUR_MS);
  const bucketMs = Math.max(1_000, Math.ceil((toMs - fromMs) / Number(query.buckets ?? 60)));
  const buckets = new Map<number, FlowHistory['buckets'][number]>();
  for (const flow of mesh.flows.filter((each) => passes(filterOf(query), each))) {
    const endedMs = flow.startedMs + flow.durationMs;
    if (endedMs < fromMs || endedMs >= toMs) continue;
    const startMs = Math.floor(endedMs / bucketMs) * bucketMs;
    const old = buckets.get(startMs) ?? { startMs, allowed: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
    buckets.set(startMs, {
      startMs,
      allowed: old.allowed + (flow.outcome === 'closed' ? 1 : 0),
      denied: old.denied + (flow.verdict === 'deny' ? 1 : 0),
      failed: old.failed + (flow.outcome === 'no-instance' ? 1 : 0),
      bytesSent: old.bytesSent + flow.bytesSent,
      bytesReceived: old.bytesReceived + flow.bytesReceived,
    });
  }
  return {
    bucketMs,
    buckets: [...buckets.values()].sort((left, right) => left.startMs - right.startMs),
    kept: mesh.flows.length,
    oldestMs: mesh.flows[0]?.startedMs ?? 0,
    diskBytes: mesh.flows.length * 90,
  };
}

function start(): StartView {
  return {
    networks: [
      {
        name: 'prod',
        service: 'web',
        commands: [
          {
            title: 'Tell control of a network with one service',
            command: "printf 'network: prod\\n' | weft apply -f -",
          },
          { title: 'Make a token for the host', command: 'weft token create --network prod --services web' },
          { title: 'Start the agent', command: 'weft up --join TOKEN' },
        ],
      },
    ],
  };
}
