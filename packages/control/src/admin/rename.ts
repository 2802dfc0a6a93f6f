/** Another host name for an agent, for who may order it, by whatever way the order came. */
import { hostNameProblem, problem } from '@weft/proto';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import type { RenamedAgent } from '../state/types.ts';
import { RequestError, readAll } from './errors.ts';
import { readName, readNetworkName, requireNetworkOfAgent } from './request.ts';
import type { RevokeOptions } from './revoke.ts';

export interface NewName {
  /** Empty for the only one there is, or where `agent` is an identifier. */
  readonly network: string;
  /** A host name or an identifier. */
  readonly agent: string;
  readonly host: string;
}

/** Rejects with RequestError, StateError. */
export async function renameAgent(
  { state, logger }: RevokeOptions,
  request: NewName,
  by: Actor,
): Promise<RenamedAgent & { readonly network: string }> {
  const { name } = readAll({
    network: () => readNetworkName(request.network),
    name: () => readName(request.agent, 'agent'),
    host: () => requireHostName(request.host),
  });
  const network = requireNetworkOfAgent(state.current, request.network, name).name;
  const actor = actorName(by);
  const renamed = await state.renameAgent(network, name, request.host, actor);
  const { agentId: agent, formerHost, revision } = renamed;
  logger.info(
    { event: 'agent-renamed', network, host: request.host, formerHost, agent, revision, actor },
    'agent renamed',
  );
  return { ...renamed, network };
}

function requireHostName(host: string): void {
  const wrong = hostNameProblem(host);
  if (wrong !== undefined) throw new RequestError([problem('host', wrong)]);
}
