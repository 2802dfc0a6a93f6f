/** What there is to check by: the agent that runs, and what it keeps in its directory, which is there while it is off too. */
import { CONTROL_RANGE, messageOf } from '@weft/proto';
import { type Identity, loadIdentity } from '../../member/identity.ts';
import { loadNetmap } from '../../member/persist.ts';
import { NetmapStore } from '../../netmap/store.ts';
import type { AgentStatus } from '../../observe/agent-status.ts';
import type { HostFacts } from '../../observe/host-facts.ts';
import { createLogger } from '../../observe/logger.ts';
import { readLocalStatus } from '../../observe/status-client.ts';
import { askRunning } from '../local-agent.ts';

export interface Known {
  readonly directory: string;
  /** Undefined while it is off, or cannot be asked. */
  readonly agent: AgentStatus | undefined;
  /** The same, and of an agent of an older version, which does not tell. */
  readonly facts: HostFacts | undefined;
  /** Why the agent cannot be asked, and what of it; empty where it answers or is off. */
  readonly unasked: string;
  readonly identity: Identity | undefined;
  /** Why identity.json cannot be read; empty where it can, or is not there. */
  readonly unread: string;
  /** What control said last, of an agent that is off; empty where it never spoke. */
  readonly kept: NetmapStore;
}

/** Why the agent tells nothing, where it does not. */
export function whySilent({ agent, unasked }: Known): string {
  if (agent !== undefined) return 'it does not tell';
  return unasked === '' ? 'it is off' : 'it cannot be asked';
}

/** Its programs are tried one after the other. */
const FACTS_MS = 25_000;

export async function whatIsKnown(directory: string, signal: AbortSignal): Promise<Known> {
  const [running, identity] = await Promise.all([
    tried(() => readLocalStatus(directory)),
    tried(() => loadIdentity(directory)),
  ]);
  const agent = running.value;
  const facts = agent && (await tried(() => askFacts(directory, signal)));
  signal.throwIfAborted();
  return {
    directory,
    agent,
    facts: facts?.value,
    unasked: running.error + (facts?.error ?? ''),
    identity: identity.value,
    unread: identity.error,
    kept: await keptNetmap(directory, identity.value),
  };
}

function askFacts(directory: string, signal: AbortSignal): Promise<HostFacts> {
  const isAnswer = (told: Partial<HostFacts>) => 'filesNeeded' in told;
  return askRunning(directory, { ask: 'facts' }, { isAnswer, lacks: 'does not tell', timeoutMs: FACTS_MS, signal });
}

async function keptNetmap(directory: string, identity: Identity | undefined): Promise<NetmapStore> {
  const silent = createLogger({ WEFT_LOG_LEVEL: 'silent' });
  const load = () => loadNetmap(directory, identity?.membership?.agentId ?? '', silent);
  const { value: kept } = await tried(load);
  return new NetmapStore(CONTROL_RANGE, kept, kept?.heardMs ?? 0, []);
}

async function tried<T>(look: () => Promise<T>): Promise<{ readonly value: T | undefined; readonly error: string }> {
  try {
    return { value: await look(), error: '' };
  } catch (error) {
    return { value: undefined, error: messageOf(error) };
  }
}
