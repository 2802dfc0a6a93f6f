/** What the listing and the detail of agents tell alike. */
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { Age, Ago, For } from '../parts/time.tsx';
import { late, skewed } from '../state/attention.ts';
import { duration, number, skew } from '../state/format.ts';

export function ConnectedBadge({ agent }: { readonly agent: AgentView }) {
  const heldOff = agent.problems.some(({ code }) => code === 'held-off');
  if (!agent.connected && heldOff) return <Badge tone="bad">held off</Badge>;
  return agent.connected ? <Badge tone="good">connected</Badge> : <Badge tone="bad">disconnected</Badge>;
}

export function Enforced({ agent }: { readonly agent: AgentView }) {
  if (agent.enforcedRevision === 0 && agent.behindSinceMs === 0) return <>–</>;
  if (agent.behindSinceMs === 0) {
    return (
      <span class="whole">
        {agent.enforcedRevision}
        {agent.enforcedSinceMs === 0 ? null : (
          <>
            , for <Age sinceMs={agent.enforcedSinceMs} />
          </>
        )}
      </span>
    );
  }
  return (
    <Badge tone="warn">
      {agent.enforcedRevision || 'none'}, behind for <For sinceMs={agent.behindSinceMs} />
    </Badge>
  );
}

/** Its clock, less control's. */
export function Skew({ agent, none }: { readonly agent: AgentView; readonly none: string }) {
  if (agent.clockSkewMs === undefined) return <>{none}</>;
  const words = skew(agent.clockSkewMs);
  return skewed(agent) ? <Badge tone="warn">{words}</Badge> : <>{words}</>;
}

export function LoopDelay({ agent, none }: { readonly agent: AgentView; readonly none: string }) {
  if (agent.loopDelayMs === undefined) return <>{none}</>;
  const words = duration(agent.loopDelayMs);
  return late(agent) ? <Badge tone="warn">{words}</Badge> : <>{words}</>;
}

export function LastSeen({ agent }: { readonly agent: AgentView }) {
  return agent.lastSeenMs === 0 ? <>not since control started</> : <Ago atMs={agent.lastSeenMs} />;
}

/** It had no room to hold them until control took them. */
export function RecordsLost({ agent, none }: { readonly agent: AgentView; readonly none: string }) {
  if (agent.recordsLost === undefined) return <>{none}</>;
  return agent.recordsLost > 0 ? <Badge tone="warn">{number(agent.recordsLost)}</Badge> : <>none</>;
}
