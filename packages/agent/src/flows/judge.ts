/** Identify, then decide: what is asked of the netmap at a flow's opening, and again after each change. */
import { type Permit, sourceName } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import type { FlowRequest } from './flow.ts';
import type { Caller } from './source.ts';

export interface Judged {
  readonly allowed: boolean;
  readonly rule: string;
  readonly revision: number;
  readonly reason: string;
  /** As in records: `web`, `host:build-3` or `internet`. */
  readonly source: string;
  readonly sourceHost: string;
  readonly client: string;
}

type JudgedPermit = Judged & { readonly allowed: true; readonly permit: Permit; readonly caller: Caller };
type JudgedDenied = Judged & { readonly allowed: false };

/**
 * Identify, then decide: the only way a flow comes to a Permit. `known` is who a live flow's caller was. A peer that
 * nothing is permitted to any more also leaves the netmap, and then the rule that took the permission says more than the
 * missing peer does.
 */
export function judge(netmap: Netmap, request: FlowRequest, known?: Caller): JudgedPermit | JudgedDenied {
  const { source: claimedSource, host } = request.claimed;
  const revision = netmap.revision;
  const caller = request.identify(netmap);
  if (caller === undefined) {
    const bygone = known === undefined ? undefined : decide(netmap, request, known);
    if (bygone?.allowed === false) return bygone;
    const reason = `${host === '' ? 'the caller' : host} may not speak as ${claimedSource}`;
    const claimed = { source: claimedSource, sourceHost: host, client: '' };
    return { allowed: false, rule: 'builtin:source', revision, reason, ...claimed };
  }
  return decide(netmap, request, caller);
}

function decide(netmap: Netmap, request: FlowRequest, caller: Caller): JudgedPermit | JudgedDenied {
  const named = { source: sourceName(caller.source), sourceHost: caller.host, client: caller.client };
  const known = netmap.services.get(request.service);
  if (known === undefined) {
    const reason = `there is no service ${request.service} in this network`;
    return { allowed: false, rule: 'builtin:no-such-service', revision: netmap.revision, reason, ...named };
  }
  const { service } = known;
  const verdict = netmap.policy.decide(caller.source, { service, port: request.port, protocol: request.protocol });
  const { rule, revision, reason } = verdict;
  if (!verdict.allowed) return { allowed: false, rule, revision, reason, ...named };
  return { allowed: true, rule, revision, reason, ...named, permit: verdict, caller };
}
