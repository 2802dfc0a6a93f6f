/** What the keyboard is at, for those who hear the map. Only this one option of the list box exists; its text follows. */
import type { JSX } from 'preact';
import type { MapSigns } from './controller.ts';
import { boxLabel, edgeText, nodeLabel } from './words.ts';

export function Spoken({ signs }: { readonly signs: MapSigns }): JSX.Element {
  const text = labelOf(signs, signs.focused.value) ?? 'nothing focused';
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the list box has the focus and names this as its active descendant.
    <div
      class="map-hidden"
      id="map-spoken"
      role="option"
      aria-selected={signs.focused.value === signs.selected.value}
      key={text}
    >
      {text}
    </div>
  );
}

export function labelOf(signs: MapSigns, key: string | undefined): string | undefined {
  const graph = signs.graph.value;
  if (graph === undefined || key === undefined) return undefined;
  const [node, box, edge] = [graph.nodes.get(key), graph.boxes.get(key), graph.edges.get(key)];
  if (node !== undefined) return nodeLabel(graph, node);
  if (box !== undefined) return boxLabel(graph, box);
  return edge === undefined ? undefined : edgeText(edge);
}
