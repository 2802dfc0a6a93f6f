/**
 * Who is calling. A claim is what an agent says of a flow it opens; a caller is what this agent's netmap makes of the
 * claim. Control's word bounds both ends: the opener claims no more than it may, and the destination believes no more
 * than the peer's proven key allows.
 */
import { isIP } from 'node:net';
import { type CallerUser, isServiceName, type Permit, type Protocol, type Source, sourceName } from '@weft/proto';
import { type Sight, type Telling, tellings, type UsersHere, usersHere } from '../owner/sight.ts';
import type { Netmap, NetmapAgent, NetmapService } from '../words/netmap.ts';
import type { SourceClaim } from '../words/opening.ts';
import type { Owner, ProcessMatch } from '../words/owner.ts';
import type { Loss } from './flow.ts';

export interface Caller {
  readonly source: Source;
  /** Of the process; its own host's word. */
  readonly user: CallerUser;
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

/** Names of the services that run here. */
export function allHere(netmap: Netmap, declared: DeclaredHere): string[] {
  return [...declared.keys()].filter((name) => runsHere(netmap, declared, name) !== undefined);
}

/** Why a service that ran here does not any more; undefined while it does. */
export function goneHere(netmap: Netmap, declared: DeclaredHere, name: string): Loss | undefined {
  if (runsHere(netmap, declared, name) !== undefined) return undefined;
  const reason = declared.has(name)
    ? `${name} may not run on this host any more`
    : `${name} is not in the agent file of this host any more`;
  return { reason, witness: 'here' };
}

/** How programs of this host speak. */
export interface LocalSpeech {
  /** As which one that nobody knows, or was not asked about. */
  readonly unknown: SourceClaim;
  /** Services that one may be found to be of, and then speaks as. */
  readonly apart: readonly string[];
}

/**
 * A host that runs exactly one service, and whose file does not say how to know its processes, speaks as it. On any other a program
 * is looked up.
 */
export function localSpeech(
  netmap: Netmap,
  services: DeclaredHere & { get(name: string): { readonly match?: object; readonly shutIn?: true } | undefined },
): LocalSpeech {
  const running = allHere(netmap, services).filter((name) => services.get(name)?.shutIn !== true);
  const [only, another] = running;
  if (only === undefined || another !== undefined || services.get(only)?.match !== undefined)
    return { unknown: { type: 'host' }, apart: running };
  return { unknown: { type: 'service', name: only }, apart: [] };
}

/** What an agent of this sight can tell of each service that runs here; nothing where nobody is looked up. */
export function tellingsHere(
  netmap: Netmap,
  services: DeclaredHere & {
    get(name: string): { readonly match?: ProcessMatch; readonly shutIn?: true } | undefined;
  },
  sight: Sight,
  users: UsersHere = usersHere(),
): ReadonlyMap<string, Telling> {
  const knowable = localSpeech(netmap, services).apart.map((name) => ({
    name,
    listens: netmap.services.get(name)?.service.kind !== 'worker',
    match: services.get(name)?.match,
  }));
  return tellings(knowable, sight, users);
}

/** Of these, those whose processes are told from others, whoever's they are. */
export function toldOf(known: ReadonlyMap<string, Telling>): ReadonlySet<string> {
  return new Set([...known].flatMap(([name, telling]) => (telling === 'told' ? [name] : [])));
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

/** How a peer's claim is written in the record of a flow whose claim was not believed. Its words are not trusted to be sane. */
export function claimName(claim: SourceClaim, host: string): string {
  return claim.type === 'service' && !isServiceName(claim.name) ? `host:${host}` : ownClaimName(claim, host);
}

/** How a claim of this very agent is. */
export function ownClaimName(claim: SourceClaim, host: string): string {
  switch (claim.type) {
    case 'service':
      return claim.name;
    case 'host':
      return `host:${host}`;
    case 'internet':
      return 'internet';
  }
}

function callerOf(netmap: Netmap, speaker: NetmapAgent, claim: SourceClaim): Caller | undefined {
  const { host, address } = speaker;
  switch (claim.type) {
    case 'service': {
      const known = netmap.services.get(claim.name);
      if (known === undefined || !speaker.services.includes(claim.name)) return undefined;
      const source = { type: 'service', service: known.service } as const;
      return { source, user: claim.user ?? null, host, address: known.address, client: '' };
    }
    case 'host':
      return { source: netmap.hostSource(speaker), user: claim.user ?? null, host, address, client: '' };
    case 'internet':
      if (!speaker.roles.includes('gateway')) return undefined;
      return {
        source: { type: 'internet' },
        user: null,
        host,
        address,
        client: isIP(claim.address) === 0 ? '' : claim.address,
      };
  }
}

/** What a flow asks for, and how its caller is told. The functions are asked at the opening and after each change. */
export interface FlowRequest {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly protocol: Protocol;
  readonly service: string;
  readonly port: number;
  /** Id of the agent that asks, when it is another than this: no peer may use up what all share. */
  readonly peer?: string;
  /** Of a call of this host's that was looked up: for the record. */
  readonly owner?: Pick<Owner, 'user' | 'unit' | 'program' | 'naming'> | undefined;
  /** Why there is no room for it here, if so; whether it is permitted is asked first. */
  readonly full?: string | undefined;
  /** How caller and host are written when `identify` does not believe the claim. */
  readonly claimed: { readonly source: string; readonly host: string };
  /** This host's name at the destination, where a flow that is denied has got to as well. Control takes records of no other host. */
  readonly destinationHost?: string;
  /** Undefined when the caller may not speak as it claims. */
  identify(netmap: Netmap): Caller | undefined;
  /** What else must stand for the flow to go on, such as its peer. Undefined when all of it does. */
  lost?(netmap: Netmap): Loss | undefined;
  /** Of a call that leaves the mesh; its `service` is `internet`. */
  readonly outside?: Outside;
}

/** A place that no policy knows, so that who carries the call there decides. */
export interface Outside {
  /** For the record. */
  readonly address: string;
  /** `reason` in words, for people. */
  decide(): { readonly allowed: boolean; readonly reason: string };
}

export type OutsideRequest = FlowRequest & { readonly outside: Outside };

export function isOutside(request: FlowRequest): request is OutsideRequest {
  return request.outside !== undefined;
}

export interface Judged {
  readonly allowed: boolean;
  readonly rule: string;
  readonly revision: number;
  /** As in records: `web`, `host:build-3` or `internet`. */
  readonly source: string;
  readonly sourceHost: string;
  readonly client: string;
}

type JudgedOutside = Judged & { readonly allowed: true; readonly caller: Caller };
type JudgedPermit = Judged & { readonly allowed: true; readonly permit: Permit; readonly caller: Caller };
type JudgedDenied = Judged & { readonly allowed: false; readonly reason: string };

/**
 * Identify, then decide: the only way a flow comes to a Permit. `known` is who a live flow's caller was. A peer that
 * nothing is permitted to any more also leaves the netmap, and then the rule that took the permission says more than the
 * missing peer does.
 */
export function judge(netmap: Netmap, request: FlowRequest, known?: Caller): JudgedPermit | JudgedDenied {
  return identifyAndDecide(netmap, request, known, decide);
}

/** The same of a call that leaves the mesh: it comes to no Permit, and so to no service. */
export function judgeOutside(netmap: Netmap, request: OutsideRequest, known?: Caller): JudgedOutside | JudgedDenied {
  return identifyAndDecide(netmap, request, known, decideOutside);
}

type Decide<Request, Permitted> = (netmap: Netmap, request: Request, caller: Caller) => Permitted | JudgedDenied;

function identifyAndDecide<Request extends FlowRequest, Permitted extends Judged>(
  netmap: Netmap,
  request: Request,
  known: Caller | undefined,
  decideOn: Decide<Request, Permitted>,
): Permitted | JudgedDenied {
  const { source: claimedSource, host } = request.claimed;
  const revision = netmap.revision;
  const caller = request.identify(netmap);
  if (caller === undefined) {
    const bygone = known === undefined ? undefined : decideOn(netmap, request, known);
    if (bygone?.allowed === false) return bygone;
    const reason = notBelieved(netmap, request, known !== undefined);
    const claimed = { source: claimedSource, sourceHost: host, client: '' };
    return { allowed: false, rule: 'builtin:source', revision, reason, ...claimed };
  }
  return decideOn(netmap, request, caller);
}

/** A flow of a host that lost its membership is no forged one, and its record says so. `live`: it was permitted before. */
function notBelieved({ self, peers }: Netmap, { peer, claimed: { host, source } }: FlowRequest, live: boolean): string {
  if (self === undefined)
    return `this host is no member of the network any more${live ? '' : ', or was not told of it yet'}`;
  const who = host === '' ? 'the caller' : host;
  if (peer !== undefined && !peers.has(peer))
    return `${who} is no member of the network any more, or nothing may pass between it and this host`;
  return `${who} may not speak as ${source}`;
}

function decideOutside(netmap: Netmap, { outside }: OutsideRequest, caller: Caller): JudgedOutside | JudgedDenied {
  const { allowed, reason } = outside.decide();
  const named = { source: sourceName(caller.source), sourceHost: caller.host, client: caller.client };
  const judged = { rule: 'builtin:egress', revision: netmap.revision, ...named };
  return allowed ? { allowed, caller, ...judged } : { allowed, reason, ...judged };
}

function decide(netmap: Netmap, request: FlowRequest, caller: Caller): JudgedPermit | JudgedDenied {
  const source = sourceName(caller.source);
  const { host: sourceHost, client } = caller;
  const known = netmap.services.get(request.service);
  if (known === undefined) {
    const reason = `there is no service ${request.service} in this network`;
    const { revision } = netmap;
    return { allowed: false, rule: 'builtin:no-such-service', revision, reason, source, sourceHost, client };
  }
  const { service } = known;
  const { port, protocol } = request;
  const verdict = netmap.policy.decide(caller.source, { service, port, protocol }, caller.user);
  const { rule, revision } = verdict;
  if (!verdict.allowed) return { allowed: false, rule, revision, reason: verdict.reason, source, sourceHost, client };
  return { allowed: true, rule, revision, source, sourceHost, client, permit: verdict, caller };
}
