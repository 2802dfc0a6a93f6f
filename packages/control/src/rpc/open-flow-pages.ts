/** Open flows as the API lists them, host by host. */
import { type OpenFlowFilter, problemIf, WIRE_LIMITS } from '@weft/proto';
import { callerFromWire, openFlowsStateCodec, openFlowToWire, type pb } from '@weft/proto/wire';
import { RequestError, readAll } from '../admin/errors.ts';
import type { OpenFlowsPlace, OpenFlowsWalk } from '../admin/open-flows.ts';
import type { Actor } from '../audit/types.ts';
import type { NetworkState } from '../state/types.ts';
import { readPage, tokenOf } from './page.ts';

/** Throws RequestError, WireError and FlowsError. */
export async function listOpenFlows(
  walk: Pick<OpenFlowsWalk, 'page'>,
  network: NetworkState,
  request: pb.ListOpenFlowsRequest,
  nowMs: number,
  role: Actor['role'],
  signal: AbortSignal,
): Promise<pb.Outgoing<pb.ListOpenFlowsResponse>> {
  const filter = readOpenFlowFilter(request.filter);
  const { source = '', service = '', host = '', port = 0 } = filter;
  const listing = { of: ['open-flows', network.name, source, service, host, `${port}`], form: [0, ''] };
  const { size, after } = readPage(request, listing);
  const { hosts, next } = await walk.page(network, filter, placeOf(after), size, role, signal);
  return {
    hosts: hosts.map(({ state, flows, ...told }) => ({
      ...told,
      state: openFlowsStateCodec.toWire(state),
      flows: flows.map((flow) => openFlowToWire(flow, nowMs)),
    })),
    nextPageToken: next === undefined ? '' : tokenOf(listing, next),
  };
}

function placeOf([round, host]: readonly (string | number)[] = [0, '']): OpenFlowsPlace {
  return [Number(round), String(host)];
}

/** Throws RequestError, WireError. */
export function readOpenFlowFilter(wire: pb.ListOpenFlowsRequest['filter']): OpenFlowFilter {
  if (wire === null || wire === undefined) return {};
  const { service, host, port } = wire;
  const { source } = readAll({
    names: () => requireNames({ service, host, port }),
    source: () => callerFromWire(wire.caller, 'filter.caller'),
  });
  return {
    ...(source === '' ? {} : { source }),
    ...(service === '' ? {} : { service }),
    ...(host === '' ? {} : { host }),
    ...(port === 0 ? {} : { port }),
  };
}

function requireNames({
  port,
  ...names
}: Readonly<Record<'service' | 'host', string>> & { readonly port: number }): void {
  const problems = [
    ...Object.entries(names).flatMap(([field, name]) =>
      problemIf(name.length > WIRE_LIMITS.name, `filter.${field}`, `expected at most ${WIRE_LIMITS.name} characters`),
    ),
    ...problemIf(port > 65_535, 'filter.port', 'expected 1 to 65535'),
  ];
  if (problems.length > 0) throw new RequestError(problems);
}
