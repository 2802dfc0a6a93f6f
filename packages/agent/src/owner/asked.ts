/** Callers that are asked about. */
import type { Owner } from '../words/owner.ts';
import type { Learned } from './learned.ts';
import type { FoundSocket } from './socket-tables.ts';

/** Where an answer goes, and what else was found by which the next such caller may be known. */
export type Answer = (owner: Owner, learned?: Learned) => void;

/** One caller, and where its answer goes. */
export interface Asked {
  readonly sockets: readonly FoundSocket[];
  readonly answer: Answer;
  /** How often it was looked for again. */
  readonly again?: number;
  /** Who could not be looked into then. */
  readonly unseen?: ReadonlySet<number>;
}

/** Of one user, whose sockets were made in one control group. */
export interface Group {
  readonly uid: number;
  /** Its path; empty for the root, undefined where it is not known. */
  readonly path: string | undefined;
  readonly asked: Asked[];
}

/** Those of one group together. */
export function grouped(asked: readonly { readonly group: Group; readonly asked: Asked }[]): readonly Group[] {
  const groups = Map.groupBy(asked, ({ group }) => group);
  return [...groups].map(([group, those]) => ({ ...group, asked: those.map((each) => each.asked) }));
}

export function unseenOf(asked: readonly Asked[]): ReadonlySet<number> {
  return new Set(asked.flatMap(({ unseen = [] }) => [...unseen]));
}

export function inodesOf(asked: readonly Asked[]): ReadonlySet<string> {
  return new Set(asked.flatMap(({ sockets }) => sockets.map(({ inode }) => inode)));
}
