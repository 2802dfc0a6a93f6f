/** The map, and beside it what was chosen on it: a service, or who calls it. */
import { useComputed, useSignal } from '@preact/signals';
import { MeshMap } from '../map/mesh-map.tsx';
import { HealthBadge, KindBadge } from '../parts/badge.tsx';
import { Icon } from '../parts/icon.tsx';
import { useAttention } from '../shell/attention-menu.tsx';
import { counted } from '../state/format.ts';
import { useApp } from '../state/use.ts';
import { TrafficTable } from './traffic-table.tsx';

type Chosen = { readonly service: string } | { readonly source: string; readonly service: string } | undefined;

export function MapView() {
  const app = useApp();
  const chosen = useSignal<Chosen>(undefined);
  return (
    <div class={chosen.value === undefined ? 'map-view' : 'map-view with-panel'}>
      <h1 class="offscreen">Map</h1>
      <div class="map-box">
        <h2 class="offscreen">Services and who calls them</h2>
        <MeshMap
          key={app.network.value}
          live={app.live}
          memory={app.layoutsOf(app.network.value)}
          onSelectService={(service) => {
            chosen.value = { service };
          }}
          onSelectEdge={({ source, service }) => {
            chosen.value = { source, service };
          }}
        />
      </div>
      {chosen.value === undefined ? (
        <MapSummary />
      ) : (
        <Panel
          chosen={chosen.value}
          onClose={() => {
            chosen.value = undefined;
          }}
        />
      )}
    </div>
  );
}

/** In words, what the map draws: the first thing to read. */
function MapSummary() {
  const { live } = useApp();
  const things = useAttention();
  const network = live.network.value;
  if (network === undefined) return null;
  const denied = live.traffic.value.filter(({ lastDenied }) => lastDenied !== undefined).length;
  return (
    <p class="map-summary">
      {counted(network.services, 'service')} on {counted(network.agents, 'agent')}, revision {network.revision}.{' '}
      {denied === 0
        ? 'Nothing was denied in the last minutes.'
        : `${counted(denied, 'pair')} denied in the last minutes.`}{' '}
      {things.length === 0 && live.connection.value !== 'stale' ? 'All well.' : null}
    </p>
  );
}

function Panel({ chosen, onClose }: { readonly chosen: NonNullable<Chosen>; readonly onClose: () => void }) {
  const app = useApp();
  const service = app.live.services.value.get(chosen.service);
  const source = 'source' in chosen ? chosen.source : undefined;
  const traffic = useComputed(() => app.live.traffic.value);
  const pairs = traffic.value.filter((pair) =>
    source === undefined
      ? pair.service === chosen.service || pair.source === chosen.service
      : pair.service === chosen.service && pair.source === source,
  );
  const title = source === undefined ? chosen.service : `${source} → ${chosen.service}`;
  return (
    <aside
      class="panel"
      aria-label={title}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <div class="panel-head">
        <h2>{title}</h2>
        <button type="button" class="button-icon" aria-label="Close the panel" onClick={onClose}>
          <Icon name="bad" />
        </button>
      </div>
      {service === undefined ? null : (
        <p class="row">
          <KindBadge kind={service.kind} />
          <HealthBadge service={service} />
        </p>
      )}
      {service === undefined ? null : (
        <dl class="facts">
          <dt>Instances</dt>
          <dd>{service.instances.map(({ host }) => host).join(', ') || 'none'}</dd>
          <dt>Ports</dt>
          <dd>{service.ports.join(', ') || 'none: a worker cannot be called'}</dd>
        </dl>
      )}
      <h3>Traffic now</h3>
      <TrafficTable pairs={pairs} of={chosen.service} />
      <p class="row">
        <a class="button" href={app.link('services', chosen.service)}>
          Open {chosen.service}
        </a>
        <a
          class="button"
          href={app.link('flows', '', { service: chosen.service, ...(source === undefined ? {} : { source }) })}
        >
          Its flows
        </a>
      </p>
    </aside>
  );
}
