/** What shapes, colours and lines mean, and which lines were left out. */
import type { JSX } from 'preact';
import { number } from '../state/format.ts';
import type { MapSigns } from './controller.ts';

const kinds = [
  ['web', 'web', 'M11 5H29A7 7 0 0 1 29 19H11A7 7 0 0 1 11 5Z'],
  ['private', 'private', 'M5 5H35V19H5Z'],
  ['worker', 'worker', 'M10 5H30L36 12L30 19H10L4 12Z'],
  ['process', 'host process', 'M5 5H35V19H5Z'],
] as const;

export function Legend({ signs }: { readonly signs: MapSigns }): JSX.Element {
  const lines = signs.lines.value;
  const isSampled = lines !== undefined && lines.shown < lines.flows;
  return (
    <div class="map-foot">
      {isSampled && (
        <p class="map-sampled">
          {number(lines.shown)} of {number(lines.flows)} lines, the busiest here. Point at a service or a host to see
          all of its own.
        </p>
      )}
      <details class="map-legend">
        <summary>Legend</summary>
        <ul>
          {kinds.map(([kind, word, shape]) => (
            <li key={kind}>
              <svg viewBox="0 0 40 24" width="40" height="24" aria-hidden="true" class={`map-kind-${kind}`}>
                <path class="map-key" d={shape} />
              </svg>
              {word}
            </li>
          ))}
          <Sample name="map-sample-flow" path="M2 12H38" word="flows, wider with rate" />
          <Sample name="map-sample-failing" path="M2 12H38" word="some fail" />
          <Sample name="map-sample-denied" path="M2 12H38" word="denied, with its rule" />
          <Sample name="map-sample-ill" path="M20 3L30 21H10Z" word="unhealthy" />
          <Sample name="map-sample-gone" path="M5 5H35V19H5Z" word="disconnected" />
          <Sample
            name="map-sample-door"
            path="M12 3H28V21H12ZM12 3L20 7V23L12 21"
            word="door not known: its gateway is disconnected"
          />
        </ul>
      </details>
    </div>
  );
}

function Sample({
  name,
  path,
  word,
}: {
  readonly name: string;
  readonly path: string;
  readonly word: string;
}): JSX.Element {
  return (
    <li>
      <svg viewBox="0 0 40 24" width="40" height="24" aria-hidden="true">
        <path class={name} d={path} />
      </svg>
      {word}
    </li>
  );
}
