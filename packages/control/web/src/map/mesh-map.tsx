/** The map of the mesh: tools above it, what is blocked beside it, and the same as a table. */
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { LiveState } from '../state/live.ts';
import { type Choice, MapController, mapSigns } from './controller.ts';
import { DeniedList } from './denied-list.tsx';
import type { Grouping } from './graph.ts';
import type { LayoutMemory } from './keeper.ts';
import { Legend } from './legend.tsx';
import './map.css';
import { MapTable } from './map-table.tsx';
import { Note } from './note.tsx';
import { Spoken } from './spoken.tsx';
import { Tools } from './tools.tsx';

export interface MeshMapProps extends Choice {
  readonly live: LiveState;
  /** Of this network, for as long as the page stays. */
  readonly memory: LayoutMemory;
}

export function MeshMap({ live, memory, onSelectService, onSelectEdge }: MeshMapProps): JSX.Element {
  const signs = useMemo(mapSigns, []);
  const [viewport, stage, labels] = [
    useRef<HTMLDivElement>(null),
    useRef<HTMLDivElement>(null),
    useRef<HTMLDivElement>(null),
  ];
  const controller = useSignal<MapController | undefined>(undefined);
  const grouping = useSignal<Grouping>('host');
  const isTable = useSignal(false);
  const text = useSignal('');
  // What is called when something is chosen may change from one rendering to the next; the controller stays.
  const choice = useRef<Choice>({ onSelectService, onSelectEdge });
  choice.current = { onSelectService, onSelectEdge };

  useEffect(() => {
    if (viewport.current === null || stage.current === null || labels.current === null) return;
    const parts = { viewport: viewport.current, stage: stage.current, labels: labels.current };
    const chosen: Choice = {
      onSelectService: (name) => choice.current.onSelectService(name),
      onSelectEdge: (edge) => choice.current.onSelectEdge(edge),
    };
    const made = new MapController(parts, signs, chosen, grouping.peek(), memory);
    controller.value = made;
    return () => {
      controller.value = undefined;
      made.close();
    };
  }, []);
  useSignalEffect(() => {
    const input = { services: live.services.value, agents: live.agents.value, traffic: live.traffic.value };
    controller.value?.update(input);
  });
  useSignalEffect(() => controller.value?.group(grouping.value));

  const waits = useComputed(() => !signs.ready.value && live.connection.value !== 'connecting');
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (controller.value?.key(event.key)) event.preventDefault();
    else if (event.key === 'Escape') viewport.current?.blur();
  };
  // A click focuses the map too, and then nothing is to be marked: only who came by keyboard needs to see where he is.
  const onFocus = (): void => {
    if (viewport.current?.matches(':focus-visible')) controller.value?.focus();
  };

  return (
    <section class="map" aria-label="Map of the mesh">
      <Tools controller={controller} grouping={grouping} isTable={isTable} text={text} />
      <div class={`map-body${isTable.value ? ' map-as-table' : ''}`}>
        <div class="map-canvas" data-ready={signs.ready.value}>
          <div
            ref={viewport}
            class="map-viewport"
            role="listbox"
            tabIndex={0}
            aria-label="Map of the mesh. Arrow keys move, Enter opens, plus and minus zoom, 0 shows all."
            aria-activedescendant={signs.focused.value === undefined ? undefined : 'map-spoken'}
            onKeyDown={onKeyDown}
            onFocus={onFocus}
            onBlur={() => controller.value?.blur()}
          >
            <div ref={stage} class="map-stage" aria-hidden="true" />
            <div ref={labels} class="map-labels" aria-hidden="true" />
            <Spoken signs={signs} />
          </div>
          {waits.value && <p class="map-waits">Laying out the map…</p>}
          <Note signs={signs} />
          <Legend signs={signs} />
        </div>
        {isTable.value && (
          <MapTable signs={signs} text={text} onSelectService={onSelectService} onSelectEdge={onSelectEdge} />
        )}
        <DeniedList signs={signs} onShow={(key) => controller.value?.show(key)} onSelectEdge={onSelectEdge} />
      </div>
    </section>
  );
}
