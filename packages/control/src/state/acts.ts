/** What the audit says of each change of the state. */
import { type Act, CONTROL, counted, listed } from '../audit/entry.ts';
import type { AgentState, Change, TokenState } from './types.ts';

export function applied(network: string, changes: readonly Change[], actor: string): Act {
  return { actor, action: 'apply', subject: `network ${network}`, detail: counted(changes.length, 'change') };
}

export function joined(host: string, tokenId: string, again: boolean): Act {
  const detail = `${again ? 'again, with' : 'with'} token ${tokenId}`;
  return { actor: `agent ${host}`, action: 'agent-join', subject: `agent ${host}`, detail };
}

export function revoked({ id, host }: AgentState, actor: string): Act {
  return { actor, action: 'agent-revoke', subject: `agent ${host}`, detail: id };
}

export function forgotten({ id, host }: AgentState): Act {
  return { actor: CONTROL, action: 'agent-forget', subject: `agent ${host}`, detail: id };
}

export function tokenCreated(token: TokenState, makesNetwork: boolean, actor: string): Act {
  const { id, services, host, roles, reusable, ephemeral, expiresMs } = token;
  const words = [
    ...(makesNetwork ? ['makes the network'] : []),
    ...(services.length > 0 ? [listed(services, 'service')] : []),
    ...(host === '' ? [] : [`host ${host}`]),
    ...roles,
    ...(reusable ? ['reusable'] : []),
    ...(ephemeral ? ['ephemeral'] : []),
    `until ${new Date(expiresMs).toISOString()}`,
  ];
  return { actor, action: 'token-create', subject: `token ${id}`, detail: words.join('; ') };
}

/** `hosts` are those whose membership ends with it. */
export function tokenRevoked(id: string, hosts: readonly string[], actor: string): Act {
  return { actor, action: 'token-revoke', subject: `token ${id}`, detail: listed(hosts, 'agent') };
}
