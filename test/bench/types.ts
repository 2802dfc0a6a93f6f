/** What the bench is made of: peers that carry, works that measure. */
import type { Path } from './path.ts';
import type { ServerName } from './servers.ts';
import type { Stage } from './stage.ts';

export interface Peer {
  readonly name: string;
  /** What it is compared by, where that is not all. */
  readonly works?: readonly string[];
  /** It compiles what it runs most while it runs: each work is run over it before the first round until that no longer helps. */
  readonly compiles?: true;
  /** As its program says it. Throws where that cannot be started, or says none. */
  version(stage: Stage): Promise<string>;
  /** Why it cannot take part here, or undefined when it can. */
  missing(stage: Stage): string | undefined;
  start(stage: Stage): Promise<Path>;
}

/** How long one sample takes. */
export interface Length {
  /** For tools that count in whole seconds. */
  readonly seconds: number;
  /** For works that choose by count: the seconds that the count is aimed at. */
  readonly aim: number;
}

export interface Cpu {
  /** User and system seconds of the peer's own processes. */
  readonly own: number;
  /** Busy seconds of the whole machine: load and servers too, and the kernel's work for a TUN device. */
  readonly machine: number;
  /** Of `own`, what each end's process spent, where these are told apart. */
  readonly ends?: Ends;
  /** What is resident of each end's process when the work is done, in MiB, without the kernel's buffers. */
  readonly resident?: Ends;
}

/** A figure of the process at the callers' end, and of that at the servers'. */
export interface Ends {
  readonly client: number;
  readonly server: number;
}

export interface Sample {
  readonly value: number;
  /** What the CPU seconds were spent on: bytes, requests, datagrams. */
  readonly amount: number;
  /** Undefined where the system does not tell. */
  readonly cpu: Cpu | undefined;
  /** Figures of the same sample beside its value, by what they are and their unit; their medians stand in the table. */
  readonly beside?: Readonly<Record<string, number>>;
  /** Worth telling beside the figure. */
  readonly note?: string;
}

export interface Work {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** What CPU is given per. */
  readonly per: { readonly label: string; readonly amount: number };
  /** Programs that its load needs. */
  readonly programs: readonly string[];
  readonly servers: readonly ServerName[];
  carriedBy(path: Path, stage: Stage): boolean;
  run(stage: Stage, path: Path, length: Length): Promise<Sample>;
}
