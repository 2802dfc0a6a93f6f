/** Which program of this host makes a call, as far as the kernel tells. */
import type { HostPort, Protocol } from '@weft/proto';

/** How the processes of a service are known: all words that are given must hold. */
export interface ProcessMatch {
  /** Name or number. */
  readonly user?: string;
  /** systemd unit of the system: `mailer.service`, or `mailer` for it. */
  readonly unit?: string;
  /** Path of a control group: it and all below. */
  readonly cgroup?: string;
  /** The program's file: its path, or the last part of it. */
  readonly command?: string;
}

/** One service that runs here, and how a process is found to be of it. */
export interface OwnerRule {
  readonly service: string;
  readonly match?: ProcessMatch;
  /** Without `match`, the user who was seen first to listen there; absent while that is not known. */
  readonly first?: number;
  /** Where its program listens: without `match`, who does, and what descends from it, is the service. */
  readonly targets: readonly (HostPort & { readonly protocol: Protocol })[];
}

/** A caller's end of a connection, or where a datagram came from; IPv4 both. */
export interface CallerSocket {
  readonly protocol: Protocol;
  readonly client: HostPort;
  /** The address that it calls. */
  readonly called: HostPort;
  /** `sockets` of an answer before: where they are the same, nothing else is looked up. */
  readonly known?: string;
}

export interface Owner {
  /** The one service that it is of; undefined when of none that is known, or of several. */
  readonly service: string | undefined;
  /** Services that it fits alike; none unless several. */
  readonly fits: readonly string[];
  /** The service that it would be of, if a process that cannot be looked into were known not to hold its socket too. */
  readonly hiddenBy?: HiddenBy | undefined;
  /** Name of its user, or the number where there is none; empty where unknown, as the rest. */
  readonly user: string;
  /** Of the process. */
  readonly pid: number | undefined;
  /** Its program's file. */
  readonly program: string;
  readonly unit: string;
  /** Which sockets it was told by; empty where none, or of several users. */
  readonly sockets: string;
  /** While its process is looked for still: settles once `pid`, `program` and `unit` are what they will be. Never rejects. */
  readonly naming?: Promise<void> | undefined;
}

export interface HiddenBy {
  readonly service: string;
  readonly pid: number;
  /** What the process calls itself (/proc/PID/comm), of printable ASCII; empty where that is not told. */
  readonly name: string;
}

/** What is told of a caller once its process is found. */
export type OwnerProcess = Pick<Owner, 'pid' | 'program' | 'unit'>;

/** Nothing is known of it: it speaks as its host. */
export const UNKNOWN_OWNER: Owner = {
  service: undefined,
  fits: [],
  user: '',
  pid: undefined,
  program: '',
  unit: '',
  sockets: '',
};

/** What a process would be taken for if it called now. */
export interface ProcessOwner extends Omit<Owner, 'sockets' | 'pid'> {
  readonly pid: number;
  /** By what it is of its service: the agent file's `match`, or the process, itself or one that it descends from, that listens at a target of it. */
  readonly by: 'match' | { readonly listener: number } | undefined;
  /** Whether more than its user and control group decides, and this agent may not look into it. */
  readonly hidden: boolean;
  /** Whether it is in another network namespace, from which nothing passes this agent's listeners. */
  readonly elsewhere: boolean;
}

/** Of a process that was asked about: undefined where there is none of that number. */
export type LookedFor = ProcessOwner | undefined | 'not-looked-at';
