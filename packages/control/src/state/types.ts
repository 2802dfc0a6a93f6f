/** What control knows for certain: an immutable snapshot, swapped whole by one writer after each durable change. */
import type { ChangeOperation, FieldProblem, Mesh, RulePlaces, Service } from '@weft/proto';
import type { AgentRow, EndedAgentRow, InstanceRow, TokenRow } from '../store/rows.ts';
import type { MeshEdit } from './edits.ts';

/** A declared service and its own address, as a 32-bit number in 127.80.0.0/12: the VIP, or a worker's source address. */
export interface ServiceState {
  readonly service: Service;
  readonly address: number;
}

export type { MemberRight, Taken } from '../store/columns.ts';

/** A member of a network. */
export interface AgentState extends Omit<AgentRow, 'services'> {
  /** What its rights let it run, together: names, `kind:KIND` or `*`. */
  readonly granted: readonly string[];
  /** What it may run, by these and the mesh, as rightsIn works it out. */
  readonly services: readonly string[];
  /** Source address of its host, 32-bit number in 127.80.0.0/12. */
  readonly address: number;
}

/**
 * A copy of a service on an agent. It is made when the agent first reports the service and stays, with its ordinal, for as
 * long as the agent is a member, whether it runs the service at this moment or not: that is for the live reports to say.
 * Only instances of services that the mesh declares now stand in a snapshot.
 */
export interface InstanceState extends Omit<InstanceRow, 'network'> {
  /** Its own address, 32-bit number in 127.80.0.0/12. */
  readonly address: number;
}

/** Who made a rule what it is, and where it is written. */
export interface RuleOrigin {
  /** The revision that made it what it is; 0 when that is not known, as it was there before control kept this. */
  readonly revision: number;
  /** Milliseconds since the Unix epoch; 0 with `revision`. */
  readonly setMs: number;
  /** In the words of AuditEntry; empty with `revision`. */
  readonly actor: string;
  /** Base name of the file that the newest apply of one had it in; empty when none did. */
  readonly file: string;
  /** From 1; 0 when it is not known. */
  readonly line: number;
}

/** By the name of the rule. Of one that is missing nothing is known. */
export type RuleOrigins = ReadonlyMap<string, RuleOrigin>;

/** One network. A network that a change did not touch is the same object in the next snapshot. */
export interface NetworkState {
  readonly name: string;
  /** Revision of the newest change of this network. */
  readonly revision: number;
  readonly mesh: Mesh;
  /** Of the change that made the mesh what it is. */
  readonly meshRevision: number;
  /** Where its rules come from. */
  readonly origins: RuleOrigins;
  /** 32 random bytes that pre-shared keys are derived from. */
  readonly secret: Uint8Array;
  /** By service name. */
  readonly services: ReadonlyMap<string, ServiceState>;
  /** By agent id. */
  readonly agents: ReadonlyMap<string, AgentState>;
  /** Host name to agent id. */
  readonly hosts: ReadonlyMap<string, string>;
  /** By `SERVICE/ORDINAL`. */
  readonly instances: ReadonlyMap<string, InstanceState>;
}

export interface State {
  /** Counts every accepted change of mesh or membership, over all networks. */
  readonly revision: number;
  /** By name. */
  readonly networks: ReadonlyMap<string, NetworkState>;
  /** Every member of every network: agent id to network name. */
  readonly agents: ReadonlyMap<string, string>;
}

/** What a listener is told of a change beside the two snapshots. */
export interface StateChange {
  /** Networks that differ; none where one came and went, and only the newest revision does. */
  readonly networks: readonly string[];
  /** Whether anything that was permitted may now be denied, so that agents must hear of it at once. */
  readonly takesAway: boolean;
}

export type StateListener = (next: State, previous: State, change: StateChange) => void;

/** One difference between two meshes, for people. */
export interface Change {
  readonly operation: ChangeOperation;
  /** Such as `service redis` or `policy no-admin-ui`. */
  readonly subject: string;
  /** What differs, in words; empty when the operation says it all. */
  readonly detail: string;
}

export interface ApplyResult {
  /** After the apply; the one before it when nothing changed or on a dry run. */
  readonly revision: number;
  readonly changes: readonly Change[];
  readonly warnings: readonly FieldProblem[];
}

export interface ApplyOptions {
  readonly dryRun: boolean;
  /** Who applies, for the audit: see AuditEntry. */
  readonly actor: string;
  /** What the caller knows the mesh at: when it was changed since, the change is refused. Left out for any. */
  readonly expected?: number;
  /** Where the rules of the whole mesh were found; left out where it is of no file. */
  readonly places?: RulePlaces;
  /** The revision that the whole mesh goes back to, for the audit; left out for none. */
  readonly former?: number;
}

export interface Grant {
  /** A host name or an id. */
  readonly agent: string;
  /** Names of services, `kind:KIND` or `*`. */
  readonly services: readonly string[];
  readonly take: boolean;
}

export interface Granted extends ApplyResult {
  readonly host: string;
  /** By tokens and grants, from now on. */
  readonly granted: readonly string[];
}

/** One apply, or the making of the network. */
export interface Revision {
  readonly revision: number;
  /** 0 when it is from before control kept revisions: `changes` are then not known either. */
  readonly appliedMs: number;
  readonly changes: readonly Change[];
}

export interface AppliedMesh {
  /** The revision that its apply made. */
  readonly revision: number;
  readonly mesh: Mesh;
}

export type TokenState = TokenRow;

export interface CreatedToken extends TokenState {
  /** There was no network of that name. */
  readonly networkCreated: boolean;
}

/** What a token lets its bearer do. */
export type TokenScope = Pick<TokenState, 'network' | 'services' | 'host' | 'roles' | 'reusable' | 'ephemeral'>;

/** A join whose token, proof and names have been checked by enroll. */
export interface JoinGrant extends Pick<AgentState, 'host' | 'identityKey' | 'tunnelKey' | 'version'> {
  readonly token: TokenState;
}

export interface Joined {
  readonly agent: AgentState;
  /** The network's, with the agent in it. */
  readonly revision: number;
}

export type EndedAgent = EndedAgentRow;

export interface RevokedAgent {
  readonly agentId: string;
  readonly host: string;
  readonly revision: number;
}

export interface RenamedAgent {
  readonly agentId: string;
  readonly formerHost: string;
  readonly revision: number;
  /** What the mesh still says of the former name. */
  readonly leftOver: readonly string[];
}

export interface RemovedNetwork {
  /** Whose memberships ended with it, sorted. */
  readonly hosts: readonly string[];
  readonly revision: number;
}

export interface EndedByTokens {
  /** Whose memberships ended with it, sorted. */
  readonly hosts: readonly string[];
  /** Those that it had only added to, which lost what it gave, sorted. */
  readonly narrowed: readonly string[];
  /** Of those, the ones that are ephemeral from now on, sorted. */
  readonly madeEphemeral: readonly string[];
  readonly revision: number;
}

export interface RevokedToken extends EndedByTokens {
  /** Whether it was revoked before: nothing was changed, nothing is audited, and `revision` is the newest of its network. */
  readonly already: boolean;
}

/** A member and every token that it joined with. */
export interface RevokedWithTokens extends EndedByTokens {
  readonly agentId: string;
  readonly tokens: readonly string[];
}

export interface ReplacedToken {
  /** The one that admits from now on. */
  readonly token: TokenState;
  /** Members that hang on it now, sorted. */
  readonly hosts: readonly string[];
  readonly revision: number;
}

/** What an agent was told last, and by which run of control. */
export interface Heard {
  /** Names the run. */
  readonly timeline: string;
  readonly revision: number;
}

/**
 * Whether this data holds all that was heard. `given-up`: it does not, and an operator said, at an earlier start or this one, that
 * what was told beside it is lost.
 */
export type Compared = 'known' | 'given-up' | 'newer';

/** Hosts have heard of more than this data holds: it is an older copy. */
export interface OlderData {
  /** The newest that any of them heard of. */
  readonly revision: number;
  readonly hosts: readonly string[];
  /** Since when it is known, milliseconds since the Unix epoch. */
  readonly sinceMs: number;
}

/**
 * The one writer of this process. A method that changes something resolves when the change is durable, with who did it in the
 * audit, and listeners were called; changes are made in the order of the calls. When it rejects with StateError, nothing has
 * changed. `actor` is who does it, in the words of AuditEntry. What answers at once is as of the last change.
 */
export interface StateStore {
  readonly current: State;
  /** To be called each minute: changes, which go by the clock as it was seen over time, may lie hours apart. */
  lookAtClock(): void;
  /**
   * Listeners are called synchronously, in order of subscription, with `current` already the next state. A change that one
   * asks for is made after all have heard of this one.
   */
  subscribe(listener: StateListener): () => void;
  apply(mesh: Mesh, options: ApplyOptions): Promise<ApplyResult>;
  /** As by an apply of the whole mesh with this one entry changed. Fields of problems with the entry begin with its sort. */
  edit(network: string, edit: MeshEdit, options: ApplyOptions): Promise<ApplyResult>;
  /** Lets a member run more, or less. The mesh stays as it is. */
  grantServices(network: string, grant: Grant, options: ApplyOptions): Promise<Granted>;
  /** Ends the network: every membership and token, its mesh and its history. */
  removeNetwork(network: string, actor: string): Promise<RemovedNetwork>;
  /** Adds an agent, or renews the one with the same identity key, and counts the token's use, at once or not at all. */
  join(grant: JoinGrant): Promise<Joined>;
  /** `agent` is a host name or an id. */
  revokeAgent(network: string, agent: string, actor: string): Promise<RevokedAgent>;
  /** With every token that it joined with, and whom these made members, in one change. */
  revokeWithTokens(network: string, agent: string, actor: string): Promise<RevokedWithTokens>;
  /** `agent` is a host name or an id, `host` its new name. */
  renameAgent(network: string, agent: string, host: string, actor: string): Promise<RenamedAgent>;
  /** Ends an ephemeral agent that went away; false when it is no member or not ephemeral. */
  forgetAgent(agentId: string): Promise<boolean>;
  /**
   * Makes sure that each service that the agent may run and the mesh declares has an instance on this agent. Others are
   * passed over. Does not change the revision: an instance opens nothing by itself.
   */
  registerInstances(agentId: string, services: readonly string[]): Promise<void>;
  /** Makes the network too when there is none of that name, at once with the token: empty, and a revision as by apply; or refuses. */
  createToken(
    scope: TokenScope,
    secretHash: Uint8Array,
    lifetimeMs: number,
    actor: string,
    absent?: 'make' | 'refuse',
  ): Promise<CreatedToken>;
  token(id: string): TokenState | undefined;
  /** Newest first, without those that are to be forgotten when the next is made. */
  tokens(network: string): readonly TokenState[];
  /**
   * Another token of the same rights, and this one admits nobody any more. Its members stay as they are, and hang on the new one.
   * `lifetimeMs` is that of the one before when left out.
   */
  replaceToken(
    id: string,
    secretHash: Uint8Array,
    lifetimeMs: number | undefined,
    actor: string,
  ): Promise<ReplacedToken>;
  /** Ends the token and the membership of every agent that it made a member; others lose what it had added. */
  revokeToken(id: string, actor: string): Promise<RevokedToken>;
  /** Meshes that were applied, newest first; the newest 200 are kept. */
  revisions(network: string, limit: number, before?: number): Promise<readonly Revision[]>;
  /** The mesh as it was when `revision` was the newest. Rejects with StateError `no-such-revision`. */
  meshAt(network: string, revision: number): Promise<AppliedMesh>;
  /**
   * The revision that had this whole mesh: the one that it is said to be of, if that had it, and else the newest. Undefined for a mesh that
   * is new, or where that cannot be read.
   */
  formerRevision(mesh: Mesh, said?: number): Promise<number | undefined>;
  /** This run of control begins, on this data; `acceptOlderData` says that it is what counts. Resolves with the run's timeline. */
  beginRun(acceptOlderData: boolean): Promise<string>;
  compare(heard: Heard): Compared;
  /** Every network goes on under numbers above what that host has heard of, which is given up. */
  numberOn(host: string, heard: Heard): Promise<void>;
  /** As this run began. */
  readonly acceptsOlderData: boolean;
  /** Set once `foundOlder` was called: from then on every change is refused, but for a dry run. */
  readonly olderData: OlderData | undefined;
  /** That host has heard of this revision, and this data has not. Resolves when the audit tells of it. */
  foundOlder(host: string, revision: number): Promise<void>;
  endedAgent(agentId: string): EndedAgent | undefined;
}
