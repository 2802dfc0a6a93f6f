/**
 * What an operator took from a host, which no token from before gives it back: not another that it joins with, nor the same once it was
 * forgotten and comes again.
 */
import { joinTokenState, type Mesh, rightsIn } from '@weft/proto';
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

/** A name is meant by its kind too; what it is of kind is known only while the mesh declares it. */
function meansAlike(one: string, other: string, mesh: Pick<Mesh, 'services'>): boolean {
  if (one === other || one === '*' || other === '*') return true;
  const meant = (entry: string): readonly string[] =>
    rightsIn({ services: mesh.services, agents: NOBODY })('', [entry]);
  const all = new Set(meant(one));
  return meant(other).some((name) => all.has(name));
}

const NOBODY: Mesh['agents'] = [];

/** After these entries were taken by the change at that place: of all that was taken, what a token could still give. */
export function moreTaken(
  before: readonly Taken[],
  entries: readonly string[],
  sequence: number,
  tokens: Iterable<TokenState>,
  nowMs: number,
): readonly Taken[] {
  const others = before.filter(({ entry }) => !entries.includes(entry));
  const all = stillGiven([...others, ...entries.map((entry) => ({ entry, sequence }))], tokens, nowMs);
  return all.length <= MOST_TAKEN ? all : [{ entry: '*', sequence }];
}

/** What was given since is not taken any more. */
export function lessTaken(before: readonly Taken[], given: readonly string[]): readonly Taken[] {
  return before.some(({ entry }) => given.includes(entry))
    ? before.filter(({ entry }) => !given.includes(entry))
    : before;
}

/** What a token from before, that somebody can join with, could give: the rest need not be kept. */
export function stillGiven(taken: readonly Taken[], tokens: Iterable<TokenState>, nowMs: number): readonly Taken[] {
  if (taken.length === 0) return taken;
  const valid = [...tokens].filter((token) => joinTokenState(token, nowMs) === 'valid');
  const isWide = (entry: string): boolean => entry === '*' || entry.includes(':');
  return taken.filter(({ entry, sequence }) =>
    valid.some(
      (token) =>
        asOf(token) < sequence && token.services.some((given) => given === entry || isWide(given) || isWide(entry)),
    ),
  );
}

/** Members that were forgotten, and that this host comes back as: by its name or its key. */
export function formerSelves(
  ended: Iterable<EndedAgent>,
  { network, host, identityKey }: Pick<EndedAgent, 'network' | 'host' | 'identityKey'>,
): EndedAgent[] {
  return [...ended].filter(
    (agent) =>
      agent.taken.length > 0 &&
      agent.network === network &&
      (agent.host === host || Buffer.compare(agent.identityKey, identityKey) === 0),
  );
}
