/**
 * Who is calling. A claim is what an agent says of a flow it opens; a caller is what this agent's netmap makes of the
 * claim. Control's word bounds both ends: the opener claims no more than it may, and the destination believes no more
 * than the peer's proven key allows.
 */
import { isIP } from 'node:net';
import { type AgentRole, isServiceName, type Source } from '@weft/proto';
import type { Netmap, NetmapService } from '../words/netmap.ts';
import type { SourceClaim } from '../words/opening.ts';

export interface Caller {
  readonly source: Source;
  /** Name of the host the caller is on. */
  readonly host: string;
  /** Where its flows arrive from, in this agent's range. Undefined when the range is too small to hold it. */
  readonly address: string | undefined;
  /** The internet client's own address, for records; empty for every other caller. */
  readonly client: string;
}

/** Names of the services in this host's agent file. */
export type DeclaredHere = Pick<ReadonlySet<string>, 'has' | 'keys'>;

/** The service, when it runs here by everybody's word: the agent file's, control's, and the mesh's. */
export function runsHere(netmap: Netmap, declared: DeclaredHere, name: string): NetmapService | undefined {
  if (!declared.has(name) || netmap.self?.services.includes(name) !== true) return undefined;
  return netmap.services.get(name);
}

/** A host that runs exactly one service speaks as it; on any other the caller's service cannot be told. */
export function localClaim(netmap: Netmap, declared: DeclaredHere): SourceClaim {
  const [only, another] = [...declared.keys()].filter((name) => runsHere(netmap, declared, name) !== undefined);
  return only !== undefined && another === undefined ? { type: 'service', name: only } : { type: 'host' };
}

/** What a claim of this very agent is worth in the netmap of now; undefined when it may not speak so any more. */
export function localCaller(netmap: Netmap, declared: DeclaredHere, claim: SourceClaim): Caller | undefined {
  const self = netmap.self;
  if (self === undefined) return undefined;
  if (claim.type === 'service' && !declared.has(claim.name)) return undefined;
  return callerOf(netmap, self, claim);
}

/** What a claim is worth when the agent with this proven identity makes it; undefined when it may not speak so. */
export function remoteCaller(netmap: Netmap, agentId: string, claim: SourceClaim): Caller | undefined {
  const peer = netmap.peers.get(agentId);
  return peer === undefined ? undefined : callerOf(netmap, peer, claim);
}

/** How a claim is written in the record of a flow whose claim was not believed. A peer's words are not trusted to be sane. */
export function claimName(claim: SourceClaim, host: string): string {
  switch (claim.type) {
    case 'service':
      return isServiceName(claim.name) ? claim.name : `host:${host}`;
    case 'host':
      return `host:${host}`;
    case 'internet':
      return 'internet';
  }
}

/** What control says of the agent that speaks, be it this one or a peer. */
interface Speaker {
  readonly host: string;
  readonly tags: readonly string[];
  readonly services: readonly string[];
  readonly roles: readonly AgentRole[];
  readonly address: string | undefined;
}

function callerOf(netmap: Netmap, speaker: Speaker, claim: SourceClaim): Caller | undefined {
  const { host, tags, address } = speaker;
  switch (claim.type) {
    case 'service': {
      const known = netmap.services.get(claim.name);
      if (known === undefined || !speaker.services.includes(claim.name)) return undefined;
      return { source: { type: 'service', service: known.service }, host, address: known.address, client: '' };
    }
    case 'host':
      return { source: { type: 'host', name: host, tags }, host, address, client: '' };
    case 'internet':
      if (!speaker.roles.includes('gateway')) return undefined;
      return { source: { type: 'internet' }, host, address, client: isIP(claim.address) === 0 ? '' : claim.address };
  }
}
