/** What the listing and the detail of agents tell alike. */
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { Ago, For } from '../parts/time.tsx';

export function ConnectedBadge({ agent }: { readonly agent: AgentView }) {
  return agent.connected ? <Badge tone="good">connected</Badge> : <Badge tone="bad">disconnected</Badge>;
}

export function Enforced({ agent }: { readonly agent: AgentView }) {
  if (agent.enforcedRevision === 0 && agent.behindSinceMs === 0) return <>–</>;
  if (agent.behindSinceMs === 0) return <>{agent.enforcedRevision}</>;
  return (
    <Badge tone="warn">
      {agent.enforcedRevision || 'none'}, behind for <For sinceMs={agent.behindSinceMs} />
    </Badge>
  );
}

export function LastSeen({ agent }: { readonly agent: AgentView }) {
  return agent.lastSeenMs === 0 ? <>not since control started</> : <Ago atMs={agent.lastSeenMs} />;
}
