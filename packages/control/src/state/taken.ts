/**
 * What an operator took from a host, which no token from before gives it back: not another that it joins with, nor the same once it was
 * forgotten and comes again.
 */
import { joinTokenState, type Mesh } from '@weft/proto';
import type { Taken } from '../store/columns.ts';
import type { TokenRow } from '../store/rows.ts';
import type { EndedAgent, TokenState } from './types.ts';

/** Of one host; of more, all counts as taken. */
const MOST_TAKEN = 1_000;

export const asOf = ({ asOf: place, sequence }: Pick<TokenRow, 'asOf' | 'sequence'>): number => place ?? sequence;

/** What the token gives a host of which so much was taken. */
export function givenBy(
  token: Pick<TokenRow, 'services' | 'asOf' | 'sequence'>,
  taken: readonly Taken[],
  mesh: Mesh,
): readonly string[] {
  const since = taken.filter(({ sequence }) => sequence > asOf(token));
  return token.services.filter((entry) => !since.some((one) => meansAlike(entry, one.entry, mesh)));
}

/**
 * Whether one may let run what the other does. A service that the mesh does not declare may be of any kind once it does; of one that it
 * declares the kind counts.
 */
function meansAlike(one: string, other: string, mesh: Pick<Mesh, 'services'>): boolean {
  if (one === other || one === '*' || other === '*') return true;
  if (isWide(one) === isWide(other)) return false;
  const [kind, name] = isWide(one) ? [one, other] : [other, one];
  const declared = mesh.services.find((service) => service.name === name);
  return declared === undefined || kind === `kind:${declared.kind}`;
}

const isWide = (entry: string): boolean => entry === '*' || entry.includes(':');

/** After these entries were taken by the change at that place: of all that was taken, what a token could still give. */
export function moreTaken(
  before: readonly Taken[],
  entries: readonly string[],
  sequence: number,
  places: TokenPlaces,
): readonly Taken[] {
  return allTaken(stillGiven([...before, ...entries.map((entry) => ({ entry, sequence }))], places));
}

/** Of each entry when it was taken last. */
export function allTaken(all: readonly Taken[]): readonly Taken[] {
  const last = new Map<string, number>();
  for (const { entry, sequence } of all) last.set(entry, Math.max(sequence, last.get(entry) ?? 0));
  if (last.size > MOST_TAKEN) return [{ entry: '*', sequence: Math.max(...last.values()) }];
  return Array.from(last, ([entry, sequence]) => ({ entry, sequence }));
}

/** The earliest places of a network's tokens that somebody can join with. */
export interface TokenPlaces {
  /** By each entry that they say. */
  readonly byEntry: ReadonlyMap<string, number>;
  /** Of those that say `*` or a kind. */
  readonly wide: number;
  /** Of those that say anything. */
  readonly any: number;
}

/** One that has ended is no such token: nobody can join with it, and none comes in its place. */
export function placesOf(tokens: Iterable<TokenState>, nowMs: number): TokenPlaces {
  const byEntry = new Map<string, number>();
  const earlier = (place: number, entry: string): number => Math.min(place, byEntry.get(entry) ?? place);
  for (const token of tokens) {
    if (joinTokenState(token, nowMs) !== 'valid') continue;
    for (const entry of token.services) byEntry.set(entry, earlier(asOf(token), entry));
  }
  const least = (entries: readonly string[]): number =>
    entries.reduce((place, entry) => Math.min(place, byEntry.get(entry) ?? place), Number.POSITIVE_INFINITY);
  const all = [...byEntry.keys()];
  return { byEntry, wide: least(all.filter(isWide)), any: least(all) };
}

/** What a token from before, that somebody can join with, could give: the rest need not be kept. */
export function stillGiven(taken: readonly Taken[], { byEntry, wide, any }: TokenPlaces): readonly Taken[] {
  return taken.filter(({ entry, sequence }) => {
    const place = isWide(entry) ? any : Math.min(wide, byEntry.get(entry) ?? wide);
    return place < sequence;
  });
}

type Self = Pick<EndedAgent, 'network' | 'host' | 'identityKey'>;

/** Whether a member that ended comes back as this host: by its name or its key. */
export function isFormer(agent: Self, { network, host, identityKey }: Self): boolean {
  return agent.network === network && (agent.host === host || Buffer.compare(agent.identityKey, identityKey) === 0);
}

/** Those from which something was taken. */
export function formerSelves(ended: Iterable<EndedAgent>, self: Self): EndedAgent[] {
  return [...ended].filter((agent) => agent.taken.length > 0 && isFormer(agent, self));
}

/** Lives of one host name of which it is kept what was taken. */
const MOST_LIVES = 64;

/** By host, those of the network of which something was taken, the oldest first. */
export function earlierSelves(
  ended: Iterable<EndedAgent>,
  network: string,
): ReadonlyMap<string, readonly EndedAgent[]> {
  return Map.groupBy(
    Array.from(ended).filter((agent) => agent.taken.length > 0 && agent.network === network),
    ({ host }) => host,
  );
}

/**
 * Of earlier lives of a host that ends again, and had what was taken from them, those of which it need not be kept: of the same keys, and
 * the oldest where it came with others again and again.
 */
export function superseded(earlier: readonly EndedAgent[], identityKey: Uint8Array): EndedAgent[] {
  const isSame = (one: EndedAgent): boolean => Buffer.compare(one.identityKey, identityKey) === 0;
  const others = earlier.filter((one) => !isSame(one));
  return [...earlier.filter(isSame), ...others.slice(0, Math.max(0, others.length - MOST_LIVES + 1))];
}
