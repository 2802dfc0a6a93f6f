/** What was refused in the last minutes, by name: on the map its labels may be far away or left out. */
import type { JSX } from 'preact';
import { number } from '../state/format.ts';
import type { Choice, MapSigns } from './controller.ts';
import type { DeniedEdge } from './graph.ts';
import { perSecond } from './rates.ts';

const mostListed = 50;

interface DeniedListProps extends Pick<Choice, 'onSelectEdge'> {
  readonly signs: MapSigns;
  readonly onShow: (key: string) => void;
}

export function DeniedList({ signs, onShow, onSelectEdge }: DeniedListProps): JSX.Element | null {
  const edges = [...(signs.graph.value?.edges.values() ?? [])].filter((edge) => edge.type === 'denied');
  if (edges.length === 0) return null;
  // By name, not by rate: a list that sorts itself anew each second cannot be read.
  edges.sort((left, right) => (left.key < right.key ? -1 : 1));
  return (
    <aside class="map-denied" aria-label="Denied now">
      <h2>
        Denied <span class="map-count">{number(edges.length)}</span>
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <ul tabIndex={0} aria-label="Denied attempts of the last minutes">
        {edges.slice(0, mostListed).map((edge) => (
          <Denied key={edge.key} edge={edge} onShow={onShow} onSelectEdge={onSelectEdge} />
        ))}
      </ul>
      {edges.length > mostListed && <p>{number(edges.length - mostListed)} more: see the flows, denied only.</p>}
    </aside>
  );
}

interface DeniedProps extends Pick<DeniedListProps, 'onShow' | 'onSelectEdge'> {
  readonly edge: DeniedEdge;
}

function Denied({ edge, onShow, onSelectEdge }: DeniedProps): JSX.Element {
  const port = edge.port === '' ? '' : `:${edge.port}`;
  return (
    <li>
      <button type="button" class="map-denied-ends" onClick={() => onShow(edge.key)}>
        <span>
          {edge.source} → {edge.service}
          {port}
        </span>
        <span class="map-denied-rule">{edge.rule || 'denied'}</span>
      </button>
      <span class="map-denied-rate">{edge.deniedPerSecond > 0 ? perSecond(edge.deniedPerSecond) : 'lately'}</span>
      <button
        type="button"
        class="map-link"
        aria-label={`Why ${edge.source} may not reach ${edge.service}${port}`}
        onClick={() => onSelectEdge({ source: edge.source, service: edge.service })}
      >
        why?
      </button>
    </li>
  );
}
