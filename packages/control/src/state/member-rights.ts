/**
 * By what a member has what it may run and be: each token that it joined with, the first of which made it a member, and what it
 * was granted since. What comes of them is a sum, which is kept beside them for versions that know only that.
 */
import { byText } from '@weft/proto';
import type { MemberRight } from '../store/columns.ts';
import type { AgentRow, TokenRow } from '../store/rows.ts';
import type { AgentState } from './types.ts';

type Sum = Pick<AgentState, 'rights' | 'granted' | 'roles' | 'tokenId' | 'earlierTokenIds'>;

export function summed(rights: readonly MemberRight[]): Sum {
  const [last = '', ...earlier] = tokenIdsOf(rights).reverse();
  return {
    rights,
    granted: union(rights.map(({ services }) => services)),
    roles: union(rights.map(({ roles }) => roles)),
    tokenId: last,
    earlierTokenIds: earlier,
  };
}

/** In the order in which it joined with them. */
function tokenIdsOf(rights: readonly MemberRight[]): string[] {
  return rights.flatMap(({ tokenId }) => tokenId || []);
}

/** Every token that the member joined with, the last one first. */
export function tokensOf({ tokenId, earlierTokenIds }: Pick<AgentState, 'tokenId' | 'earlierTokenIds'>): string[] {
  return [tokenId, ...earlierTokenIds];
}

/** The token that made it a member, and with which it ends. */
function admittedBy(agent: Pick<AgentState, 'tokenId' | 'earlierTokenIds'>): string {
  return tokensOf(agent).at(-1) ?? '';
}

/** Members that one of the tokens made that, who end with it, and those to which they only added. */
export function hangingOn(
  agents: Iterable<AgentState>,
  ids: readonly string[],
): readonly [ended: AgentState[], adding: AgentState[]] {
  const ended: AgentState[] = [];
  const adding: AgentState[] = [];
  for (const agent of agents) {
    if (ids.includes(admittedBy(agent))) ended.push(agent);
    else if (tokensOf(agent).some((id) => ids.includes(id))) adding.push(agent);
  }
  return [ended, adding];
}

export interface Adding {
  /** Tokens that a member joined with, at most. */
  readonly most: number;
  /** Whether nobody can join with that token any more. */
  readonly hasEnded: (tokenId: string) => boolean;
  /** Whether a member is to stay by that token, though others of its tokens are ephemeral. */
  readonly stays: (tokenId: string) => boolean;
}

/**
 * With those of one more token; undefined where the member has as many tokens as it may. A token that has ended, and gives it nothing that this one does not,
 * is let go of; at the limit the oldest that has ended and gave no role is, and what it gave stands
 * as granted: a role is nothing that can be granted, or taken. The one that made it a member never is, nor one by which it is to stay for the sake of
 * one by which it is not.
 */
export function withToken(
  rights: readonly MemberRight[],
  added: MemberRight,
  { most, hasEnded, stays }: Adding,
): readonly MemberRight[] | undefined {
  const [first, ...later] = rights.filter(({ tokenId }) => tokenId !== '');
  const granted = grantsIn(rights);
  if (first === undefined) return inOrder([added], granted);
  const adds = ({ tokenId }: MemberRight): boolean => stays(tokenId) && !stays(added.tokenId);
  const kept = later.filter((right) => !(hasEnded(right.tokenId) && isWithin(right, added) && !adds(right)));
  if (kept.length + 2 <= most) return inOrder([first, ...kept, added], granted);
  const isLast = (one: MemberRight): boolean =>
    stays(one.tokenId) && ![first, ...kept, added].some((other) => other !== one && stays(other.tokenId));
  const oldest = kept.find((right) => right.roles.length === 0 && hasEnded(right.tokenId) && !isLast(right));
  if (oldest === undefined) return undefined;
  const services = union([granted.services, oldest.services]);
  return inOrder([first, ...kept.filter((right) => right !== oldest), added], { ...granted, services });
}

function isWithin(one: MemberRight, other: MemberRight): boolean {
  return (
    one.services.every((entry) => other.services.includes(entry)) &&
    one.roles.every((role) => other.roles.includes(role))
  );
}

export function withoutToken(rights: readonly MemberRight[], id: string): readonly MemberRight[] {
  return rights.filter(({ tokenId }) => tokenId !== id);
}

/** The member hangs on the other token, by what it had of the first. */
export function withOther(rights: readonly MemberRight[], id: string, other: string): readonly MemberRight[] {
  return rights.map((right) => (right.tokenId === id ? { ...right, tokenId: other } : right));
}

/** What it was granted as a member. */
export function grantsIn(rights: readonly MemberRight[]): MemberRight {
  return rights.find(({ tokenId }) => tokenId === '') ?? { tokenId: '', sinceMs: 0, services: [], roles: [] };
}

export function withGrants(
  rights: readonly MemberRight[],
  services: readonly string[],
  sinceMs: number,
): readonly MemberRight[] {
  const before = grantsIn(rights);
  const all = union([before.services, services]);
  if (all.length === before.services.length) return rights;
  return inOrder(withoutToken(rights, ''), { ...before, services: all, sinceMs });
}

/** However it has them. */
export function withoutServices(rights: readonly MemberRight[], taken: readonly string[]): readonly MemberRight[] {
  const left = rights.map((right) => ({
    ...right,
    services: right.services.filter((entry) => !taken.includes(entry)),
  }));
  return inOrder(withoutToken(left, ''), grantsIn(left));
}

function inOrder(byTokens: readonly MemberRight[], granted: MemberRight): readonly MemberRight[] {
  return granted.services.length + granted.roles.length === 0 ? byTokens : [...byTokens, granted];
}

/**
 * As a row has them. What it holds beside its sum goes by the sum: a version that does not know rights changes that alone. Of a token
 * of which no right is kept, what it says is what it gave; what no token gave was granted.
 */
export function rightsOf(
  row: Omit<AgentRow, 'rights'> & { readonly rights: readonly MemberRight[] },
  tokens: ReadonlyMap<string, Pick<TokenRow, 'services' | 'roles'>>,
): readonly MemberRight[] {
  const { services, roles, joinedMs } = row;
  const within = (right: MemberRight): MemberRight => ({
    ...right,
    services: services.filter((entry) => right.services.includes(entry)),
    roles: roles.filter((role) => right.roles.includes(role)),
  });
  const byTokens = tokensOf(row)
    .reverse()
    .map((tokenId) => {
      const kept = row.rights.find((right) => right.tokenId === tokenId);
      const said = tokens.get(tokenId) ?? { services: [], roles: [] };
      return within(kept ?? { tokenId, sinceMs: tokenId === row.tokenId ? joinedMs : 0, ...pickRights(said) });
    });
  const granted = within(grantsIn(row.rights));
  const all = [...byTokens, granted];
  const rest = {
    services: services.filter((entry) => !all.some((right) => right.services.includes(entry))),
    roles: roles.filter((role) => !all.some((right) => right.roles.includes(role))),
  };
  return inOrder(byTokens, {
    ...granted,
    services: union([granted.services, rest.services]),
    roles: union([granted.roles, rest.roles]),
  });
}

function pickRights({
  services,
  roles,
}: Pick<TokenRow, 'services' | 'roles'>): Pick<MemberRight, 'services' | 'roles'> {
  return { services, roles };
}

function union<Word extends string>(lists: readonly (readonly Word[])[]): readonly Word[] {
  return [...new Set(lists.flat())].sort(byText);
}
