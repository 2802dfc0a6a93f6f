/** Join tokens as control lists them. */
import type { AgentRoleJson, TokenJson } from '@weft/proto/messages';
import type { AgentRole } from '@weft/proto/model';
import type { Api } from './api.ts';
import { everyPage, timeMs, word } from './calls.ts';

export type Token = ReturnType<typeof readToken>;

/** Newest first; with `all`, also those that ended more than a day ago. */
export async function listTokens(
  api: Api,
  { network, all = false }: { readonly network: string; readonly all?: boolean },
  signal?: AbortSignal,
): Promise<readonly Token[]> {
  const tokens = await everyPage(
    (pageToken) => api.call('listTokens', { network, all, pageSize: 1_000, pageToken }, signal),
    (page) => page.tokens,
  );
  return tokens.map(readToken);
}

export function roleName(role: AgentRole): AgentRoleJson {
  return `AGENT_ROLE_${role.toUpperCase() as Uppercase<AgentRole>}`;
}

function readToken(token: TokenJson) {
  const { tokenId: id = '', services = [], host = '', roles = [] } = token;
  const { reusable = false, ephemeral = false, uses = 0, revoked = false, replacedBy = '' } = token;
  return {
    ...{ id, services, host, reusable, ephemeral, uses, revoked, replacedBy },
    roles: roles.map((role) => word('AGENT_ROLE', role, 'gateway')),
    createdMs: timeMs(token.createTime),
    expiresMs: timeMs(token.expireTime),
  };
}
