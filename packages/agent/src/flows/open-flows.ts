/** What control is told of flows that are open: each by the agent that will record it, unless the destinations cannot tell. */
import type { OpenFlow, OpenFlowFilter, OpenFlows, OpenFlowsQuestion } from '@weft/proto';
import type { LiveFlow } from './live-flow.ts';
import type { NamesOfNow } from './recorder.ts';

/** `flows` stand in the order in which they began. */
export function openFlows(flows: Iterable<LiveFlow>, asked: OpenFlowsQuestion, nowMs: number): OpenFlows {
  const { filter, handedOverTo, most } = asked;
  const destinations = handedOverTo !== undefined && handedOverTo.length > 0 ? new Set(handedOverTo) : undefined;
  const found = [...flows].filter(
    (flow) =>
      flow.isOpen &&
      flow.handedOver === (handedOverTo !== undefined) &&
      (destinations === undefined || destinations.has(flow.destinationHost)) &&
      passes(filter, flow),
  );
  const newest = found.slice(Math.max(0, found.length - most)).reverse();
  return { flows: newest.map((flow) => flow.toOpenFlow(nowMs)), omitted: found.length - newest.length };
}

function passes({ source, service, port, host }: OpenFlowFilter, flow: LiveFlow): boolean {
  return (
    (source === undefined || flow.source === source) &&
    (service === undefined || flow.service === service) &&
    (port === undefined || flow.request.port === port) &&
    (host === undefined || flow.sourceHost === host || flow.destinationHost === host)
  );
}

/** Of all open flows, the newest, where they can only be chosen from by names of now. */
const MOST_LOOKED_AT = 10_000;

/** As `ask` tells, by the names of now: control takes them of no other, and means no other by what it asks for. */
export async function openFlowsByNamesOfNow(
  names: NamesOfNow,
  asked: OpenFlowsQuestion,
  ask: (asked: OpenFlowsQuestion) => Promise<OpenFlows>,
): Promise<OpenFlows> {
  if (!names.wasRenamed) return await ask(asked);
  const { host, source, ...others } = asked.filter;
  const { handedOverTo } = asked;
  const wide = handedOverTo === undefined ? {} : { handedOverTo: [] };
  const told = await ask({ ...asked, ...wide, filter: others, most: Math.max(asked.most, MOST_LOOKED_AT) });
  const destinations = handedOverTo === undefined || handedOverTo.length === 0 ? undefined : new Set(handedOverTo);
  const found = told.flows
    .map((flow) => names.byNamesOfNow(flow, Date.now() - flow.ageMs))
    .filter(
      (flow) =>
        (host === undefined || flow.sourceHost === host || flow.destinationHost === host) &&
        (source === undefined || flow.source === source) &&
        (destinations === undefined || destinations.has(flow.destinationHost)),
    );
  const flows = found.slice(0, asked.most);
  return { flows, omitted: told.omitted + found.length - flows.length };
}

/** Of several threads, as if they were one. */
export function mergeOpenFlows(threads: readonly OpenFlows[], most: number): OpenFlows {
  const [only, ...others] = threads;
  if (only !== undefined && others.length === 0) return only;
  const all: OpenFlow[] = threads.flatMap(({ flows }) => flows).sort((one, other) => one.ageMs - other.ageMs);
  const omitted = threads.reduce((sum, thread) => sum + thread.omitted, 0) + Math.max(0, all.length - most);
  return { flows: all.slice(0, most), omitted };
}
