/** The same as the map shows, in rows. */
import { type Signal, useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import type { Choice, MapSigns } from './controller.ts';
import type { MapEdge, MapNode, MeshGraph } from './graph.ts';
import { perSecond } from './rates.ts';
import { flowText, healthText } from './words.ts';

const mostRows = 300;

interface MapTableProps extends Choice {
  readonly signs: MapSigns;
  readonly text: Signal<string>;
}

export function MapTable({ signs, text, onSelectService, onSelectEdge }: MapTableProps): JSX.Element {
  const rows = useComputed(() => rowsOf(signs.graph.value, text.value.trim().toLowerCase()));
  const { nodes, edges, graph } = rows.value;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <section class="map-table" aria-label="The map as tables" tabIndex={0}>
      <table>
        <caption>What there is{more(nodes.length)}</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Kind</th>
            <th scope="col">Where</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {nodes.slice(0, mostRows).map((node) => (
            <tr key={node.key}>
              <th scope="row">
                {node.service === '' ? (
                  node.name
                ) : (
                  <button type="button" class="map-link" onClick={() => onSelectService(node.service)}>
                    {node.name}
                  </button>
                )}
              </th>
              <td>{node.kind}</td>
              <td>{graph?.boxes.get(node.box)?.name ?? ''}</td>
              <td>{stateText(node)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <table>
        <caption>Who calls whom{more(edges.length)}</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col">Verdict</th>
            <th scope="col">Now</th>
          </tr>
        </thead>
        <tbody>
          {edges.slice(0, mostRows).map((edge) => (
            <tr key={edge.key} class={edge.type === 'denied' ? 'map-row-denied' : ''}>
              <th scope="row">{placed(graph, edge.source, edge.from)}</th>
              <td>
                <button
                  type="button"
                  class="map-link"
                  onClick={() => onSelectEdge({ source: edge.source, service: edge.service })}
                >
                  {placed(graph, edge.service, edge.to)}
                </button>
              </td>
              <td>{edge.type === 'denied' ? `denied by ${edge.rule || 'a rule'}` : 'allowed'}</td>
              <td>{edge.type === 'denied' ? perSecond(edge.deniedPerSecond) : flowText(edge)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface Rows {
  readonly graph: MeshGraph | undefined;
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
}

function rowsOf(graph: MeshGraph | undefined, text: string): Rows {
  if (graph === undefined) return { graph, nodes: [], edges: [] };
  const nodes = [...graph.nodes.values()].filter((node) => node.kind !== 'door' && node.kind !== 'internet');
  const edges = [...graph.edges.values()].filter((edge) => edge.service !== '');
  const order = (left: { key: string }, right: { key: string }): number => (left.key < right.key ? -1 : 1);
  return {
    graph,
    nodes: nodes.filter((node) => node.key.toLowerCase().includes(text)).sort(order),
    edges: edges.filter((edge) => edge.key.toLowerCase().includes(text)).sort(order),
  };
}

function stateText(node: MapNode): string {
  const problems = node.problems.length > 0 ? `, ${node.problems.join(', ')}` : '';
  if (node.kind === 'process' || node.instances === 0) return healthText(node);
  const state = node.connected ? `${node.healthy} of ${node.instances} healthy` : 'disconnected';
  return `${state}${node.public ? ', public' : ''}${problems}`;
}

function placed(graph: MeshGraph | undefined, name: string, key: string): string {
  const node = graph?.nodes.get(key);
  const box = graph?.boxes.get(node?.box ?? '');
  return box?.kind === 'host' && !name.startsWith('host:') ? `${name} on ${box.name}` : name;
}

function more(rows: number): string {
  return rows > mostRows ? `: the first ${mostRows} of ${rows}; search to see fewer` : ` (${rows})`;
}
