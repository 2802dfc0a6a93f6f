/** One word of state, told by word, shape and colour. */
import type { ComponentChildren } from 'preact';
import type { FlowView, ServiceView } from '../../../src/dashboard/api.ts';
import { type Health, healthOf } from '../state/attention.ts';
import { Icon, type IconName } from './icon.tsx';

export type Tone = 'good' | 'warn' | 'bad' | 'idle';

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  const icon: IconName = tone;
  return (
    <span class={`badge badge-${tone}`}>
      <Icon name={icon} />
      <span>{children}</span>
    </span>
  );
}

export function KindBadge({ kind }: { readonly kind: ServiceView['kind'] }) {
  return <span class={`badge kind-${kind}`}>{kind}</span>;
}

const HEALTH: Readonly<Record<Health, readonly [Tone, string]>> = {
  healthy: ['good', 'healthy'],
  degraded: ['warn', 'degraded'],
  down: ['bad', 'down'],
  none: ['idle', 'not running'],
};

export function HealthBadge({ service }: { readonly service: ServiceView }) {
  const [tone, word] = HEALTH[healthOf(service)];
  return <Badge tone={tone}>{word}</Badge>;
}

export function VerdictBadge({ verdict }: { readonly verdict: FlowView['verdict'] }) {
  return verdict === 'allow' ? <Badge tone="good">allowed</Badge> : <Badge tone="bad">denied</Badge>;
}
