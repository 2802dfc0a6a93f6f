/**
 * Which schema a control must know to read what is held, beside the tables: one of before these words would pass them over, and so permit
 * what a rule denies, or give back what was taken. It is kept with the data, where such a control looks first and refuses.
 */
import { entryOf, joinTokenState, type Mesh, portedSelector, readSelector } from '@weft/proto';
import { SCHEMA } from '../store/schema.ts';
import { neededByTables } from '../store/schema-steps.ts';
import type { Draft, Outcome } from './draft.ts';
import type { Memory } from './memory.ts';
import { asOf, placesOf, stillGiven, type TokenPlaces } from './taken.ts';
import type { AgentState, EndedAgent, NetworkState, TokenState } from './types.ts';

/** Of the tables alone. */
const TABLES = neededByTables(SCHEMA);
/** With which came ports in `to`, `internet`, and what a host may run beside its one token. */
const RIGHTS = 10;
/** With which came `user:NAME`. */
const USERS = 13;

/** With which came that a token stands in the place of another or only adds to a host, and what was taken from one. */
const PLACES = 13;

const ofMeshes = new WeakMap<Mesh, number>();
const ofNetworks = new WeakMap<NetworkState, number>();

/** After the change. Of networks and meshes that stay it is not worked out again. */
export function neededAfter(memory: Memory, draft: Draft, outcome: Outcome<unknown>): number {
  const { networks = [], removed } = outcome;
  const held = new Map(memory.state.networks);
  for (const network of networks) held.set(network.name, network);
  if (removed !== undefined) held.delete(removed);
  let needed = hasPlaces(memory, draft, removed) ? PLACES : TABLES;
  for (const network of held.values()) needed = Math.max(needed, kept(ofNetworks, network, needOfNetwork));
  return needed;
}

/**
 * Whether a control of before would let in who was revoked before a token was replaced, as it takes the new one for one of after that; or
 * would give back what was taken from a host that was forgotten since.
 */
function hasPlaces({ tokens, ended }: Memory, { writes, clocks }: Draft, removed: string | undefined): boolean {
  const put = { tokens: new Map<string, TokenState>(), ended: new Map<string, EndedAgent>() };
  const gone = new Set<string>();
  for (const { write, row } of writes) {
    if (write === 'putToken') put.tokens.set(row.id, row);
    else if (write === 'putEndedAgent') put.ended.set(row.id, row);
    else if (write === 'removeToken' || write === 'removeEndedAgent') gone.add(row.id);
  }
  const places = new Map<string, TokenPlaces>();
  const isValid = (token: TokenState): boolean => joinTokenState(token, clocks.believed()) === 'valid';
  const valid = (of: (token: TokenState) => boolean): TokenState[] =>
    left(tokens, put.tokens, gone, (token) => of(token) && token.network !== removed).filter(isValid);
  const inPlace = valid((token) => token.asOf !== undefined);
  const letsIn = ({ network, revoked, sequence }: EndedAgent): boolean =>
    revoked && inPlace.some((one) => one.network === network && asOf(one) < sequence && sequence < one.sequence);
  const ofMatter = left(ended, put.ended, gone, (agent) => agent.taken.length > 0 || letsIn(agent));
  return ofMatter.some(
    (agent) =>
      letsIn(agent) ||
      stillGiven(
        agent.taken,
        entryOf(places, agent.network, () =>
          placesOf(
            valid(({ network }) => network === agent.network),
            clocks.believed(),
          ),
        ),
      ).length > 0,
  );
}

/** Of those that will be held, the ones that matter: few, so that a large network costs each change a look and no copy. */
function left<Row extends { readonly id: string }>(
  held: ReadonlyMap<string, Row>,
  put: ReadonlyMap<string, Row>,
  gone: ReadonlySet<string>,
  matters: (row: Row) => boolean,
): Row[] {
  const rows = [...put.values()].filter((row) => !gone.has(row.id) && matters(row));
  for (const [id, row] of held) if (!put.has(id) && !gone.has(id) && matters(row)) rows.push(row);
  return rows;
}

function kept<Key extends object>(known: WeakMap<Key, number>, key: Key, work: (key: Key) => number): number {
  const before = known.get(key);
  if (before !== undefined) return before;
  const needed = work(key);
  known.set(key, needed);
  return needed;
}

function needOfNetwork({ mesh, agents }: NetworkState): number {
  const needed = kept(ofMeshes, mesh, needOfMesh);
  if (needed >= PLACES) return needed;
  const all = [...agents.values()];
  if (all.some(hasMoreThanAnyToken)) return PLACES;
  return all.some(hasMoreThanItsToken) ? Math.max(needed, RIGHTS) : needed;
}

function needOfMesh({ policies, agents }: Mesh): number {
  const selectors = policies.flatMap(({ from, to }) => [...from, ...to]);
  const types = new Set(selectors.map((text) => readSelector(text)?.type));
  if (types.has('user')) return USERS;
  const reads =
    types.has('internet') ||
    selectors.some((text) => portedSelector(text) !== undefined) ||
    agents.some(({ services }) => services.length > 0);
  return reads ? RIGHTS : TABLES;
}

/**
 * A control of before would give back what was taken when it joins again with a token from before that, and end it with a token that only
 * added.
 */
function hasMoreThanAnyToken({ earlierTokenIds, taken }: AgentState): boolean {
  return taken.length > 0 || earlierTokenIds.length > 0;
}

/** A control of before would give it what its token says when it joins again, and know a kind for a name. */
function hasMoreThanItsToken({ rights, granted }: AgentState): boolean {
  return rights.length > 1 || granted.some((entry) => entry === '*' || entry.includes(':'));
}
