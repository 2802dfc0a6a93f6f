/** What stands above the map: search, the switch of grouping, zoom, and the way to the table. */
import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { MapController } from './controller.ts';
import type { Grouping } from './graph.ts';

interface ToolsProps {
  readonly controller: Signal<MapController | undefined>;
  readonly grouping: Signal<Grouping>;
  readonly isTable: Signal<boolean>;
  readonly text: Signal<string>;
}

const buttonZoom = 1.5;

export function Tools({ controller, grouping, isTable, text }: ToolsProps): JSX.Element {
  const map = (): MapController | undefined => controller.peek();
  return (
    <div class="map-tools">
      <Search controller={controller} text={text} />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out in a row in every browser. */}
      <div class="map-switch" role="group" aria-label="Grouped by">
        <Choose grouping={grouping} value="host" word="by host" />
        <Choose grouping={grouping} value="network" word="by network" />
      </div>
      <div class="map-buttons">
        <button type="button" aria-pressed={isTable.value} onClick={() => (isTable.value = !isTable.value)}>
          as a table
        </button>
        {!isTable.value && (
          <>
            <button type="button" title="Lay everything out anew" onClick={() => map()?.tidy()}>
              tidy
            </button>
            <button type="button" onClick={() => map()?.fit()}>
              fit
            </button>
            <button type="button" aria-label="Zoom out" onClick={() => map()?.zoomBy(1 / buttonZoom)}>
              −
            </button>
            <button type="button" aria-label="Zoom in" onClick={() => map()?.zoomBy(buttonZoom)}>
              +
            </button>
          </>
        )}
      </div>
    </div>
  );
}

function Choose(props: {
  readonly grouping: Signal<Grouping>;
  readonly value: Grouping;
  readonly word: string;
}): JSX.Element {
  const { grouping, value, word } = props;
  const choose = (): void => {
    grouping.value = value;
  };
  return (
    <button type="button" aria-pressed={grouping.value === value} onClick={choose}>
      {word}
    </button>
  );
}

function Search({ controller, text }: Pick<ToolsProps, 'controller' | 'text'>): JSX.Element {
  const found = useSignal<number | undefined>(undefined);
  const seek = (wanted: string): void => {
    text.value = wanted;
    const count = controller.peek()?.find(wanted) ?? 0;
    found.value = wanted.trim() === '' ? undefined : count;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') controller.peek()?.findNext();
    else if (event.key === 'Escape') seek('');
    else return;
    event.preventDefault();
  };
  return (
    <div class="map-search">
      <input
        type="search"
        data-search
        placeholder="Find a service or host"
        aria-label="Find a service or host on the map. Enter goes to the next."
        value={text.value}
        onInput={(event) => seek(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <span class="map-found" role="status">
        {found.value === undefined ? '' : `${found.value} found`}
      </span>
    </div>
  );
}
