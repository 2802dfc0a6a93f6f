/** What commands of this host ask its agent, answered. */
import { defined, messageOf, type OpenFlowFilter, type OpenFlows, type OpenFlowsQuestion } from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import { mergeOpenFlows } from '../flows/open-flows.ts';
import type { AgentStatus } from '../observe/agent-status.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { HostFacts } from '../observe/host-facts.ts';
import type { ExplainAnswer, PingAnswer, ReloadAnswer, ServicesAnswer } from '../observe/local-question.ts';
import { serviceViews } from '../observe/service-view.ts';
import type { Answerer } from '../observe/status-socket.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { NetmapPeer, NetmapSource } from '../words/netmap.ts';
import type { FlowAsked } from './explain-here.ts';
import type { HostGuard } from './host-guard.ts';

/** Longer than a dial may take. */
const PING_MS = 6_000;

export interface LocalParts {
  readonly status: () => Promise<AgentStatus>;
  readonly facts: () => Promise<HostFacts>;
  readonly explain: (asked: FlowAsked) => Promise<ExplainAnswer>;
  readonly store: Pick<NetmapSource, 'current'>;
  readonly tunnels: Pick<Tunnels, 'lookAt'>;
  readonly reload: () => Promise<ReloadAnswer>;
  readonly guard: HostGuard['answer'];
  readonly openFlows: (asked: OpenFlowsQuestion) => Promise<OpenFlows>;
}

/** Of open flows that one answer holds. */
const MOST_FLOWS = 1_000;

export function localAnswerer(parts: LocalParts): Answerer {
  return (question) => {
    switch (question.ask) {
      case 'status':
        return parts.status();
      case 'ping':
        return ping(parts, question.host, question.dialled);
      case 'reload':
        return parts.reload();
      case 'facts':
        return parts.facts();
      case 'explain':
      case 'explain-caller':
        return parts.explain(question);
      case 'services':
        return { services: serviceViews(parts.store.current) } satisfies ServicesAnswer;
      case 'guard':
        return parts.guard(question);
      case 'open-flows':
        return openFlows(parts, defined(question.filter));
    }
  };
}

/** Of both sorts: those that this agent will record, and those that the other end will. */
async function openFlows({ openFlows: ask }: LocalParts, filter: OpenFlowFilter): Promise<OpenFlows> {
  const asked = { filter, most: MOST_FLOWS };
  return mergeOpenFlows([await ask(asked), await ask({ ...asked, handedOverTo: [] })], MOST_FLOWS);
}

/** Rejects with LocalRefusal. */
async function ping({ store, tunnels }: LocalParts, host: string, dialled: boolean): Promise<PingAnswer> {
  const peer = peerOf(store, host);
  const deadline = new Deadline(PING_MS);
  try {
    return { path: await tunnels.lookAt(peer.agentId, dialled, deadline) };
  } catch (error) {
    return { unreachable: messageOf(error) };
  } finally {
    deadline.close();
  }
}

/** Throws LocalRefusal. */
function peerOf({ current }: LocalParts['store'], host: string): NetmapPeer {
  const { self, peers } = current;
  if (host === self?.host) throw new LocalRefusal('this-host', `${host} is this very host`);
  for (const peer of peers.values()) if (peer.host === host) return peer;
  throw new LocalRefusal(
    'no-such-peer',
    `this host is told of no host ${host}: it is no member, or no flow is permitted between the two (an agent is told of no others)`,
  );
}
