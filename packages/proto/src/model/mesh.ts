/** What an operator declares about a network, in the words of the mesh file. Plain immutable values. */

export const KINDS = ['web', 'private', 'worker'] as const;
export const PROTOCOLS = ['tcp', 'udp'] as const;
/** As a record or a count may tell: `other` is one that this version does not know. */
export const REPORTED_PROTOCOLS = [...PROTOCOLS, 'other'] as const;
export const ACTIONS = ['allow', 'deny'] as const;

export type Kind = (typeof KINDS)[number];
export type Protocol = (typeof PROTOCOLS)[number];
export type ReportedProtocol = (typeof REPORTED_PROTOCOLS)[number];
export type Action = (typeof ACTIONS)[number];

/** Inclusive range of ports, each 1 to 65535; `first` equals `last` for a single port. */
export interface PortRange {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
}

/** How the internet reaches a web service through a gateway. */
export interface PublicIngress {
  readonly port: number;
  readonly hosts: readonly string[];
  /** From a request sent whole to the first byte of its answer, then 504; a gateway's own 60 s where undefined. */
  readonly responseTimeoutMs?: number;
}

export interface Service {
  readonly name: string;
  readonly kind: Kind;
  readonly ports: readonly PortRange[];
  /** Whether what else its programs in sandboxes listen on is published while they do: `auto` among its ports. */
  readonly autoPorts?: true;
  readonly public?: PublicIngress;
  readonly tags: readonly string[];
  /** For people; agents are not told. One line, never empty. */
  readonly description?: string;
}

/** Ports that a rule is about: of one transport, or `any` of both. */
export interface RulePorts extends Omit<PortRange, 'protocol'> {
  readonly protocol: Protocol | 'any';
}

export interface Rule {
  readonly name: string;
  readonly action: Action;
  /** Service name, `kind:KIND`, `host:NAME`, `tag:NAME` or `*`. */
  readonly from: readonly string[];
  /** Service name, `kind:KIND`, `tag:NAME` or `*`. */
  readonly to: readonly string[];
  /** Empty means every port. */
  readonly ports: readonly RulePorts[];
}

/** Where the rules of a mesh stand in the file that it was read from. */
export interface RulePlaces {
  /** Its base name. */
  readonly file: string;
  /** Lines on which they begin, from 1, in the order of the mesh's rules; 0 for one that is not known. */
  readonly lines: readonly number[];
}

/** What `weft explain` and policy tests call: a service and one of its ports. */
export interface DestinationName {
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface PolicyTest extends DestinationName {
  readonly from: string;
  readonly expect: Action;
}

export interface AgentSettings {
  readonly name: string;
  readonly tags: readonly string[];
  /** What it may run, beside what its tokens and grants say: names of services, `kind:KIND` or `*`. */
  readonly services: readonly string[];
}

export interface Mesh {
  readonly network: string;
  readonly services: readonly Service[];
  readonly defaultAction: Action;
  readonly policies: readonly Rule[];
  readonly agents: readonly AgentSettings[];
  readonly tests: readonly PolicyTest[];
}
