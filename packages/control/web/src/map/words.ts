/** The map in words: what is read out, and what is shown beside what is pointed at. */

import { number } from '../state/format.ts';
import type { Door, FlowEdge, MapBox, MapEdge, MapNode, MeshGraph } from './graph.ts';
import { bytesPerSecond, perSecond } from './rates.ts';

const manyCallers = 4;

export function nodeLabel(graph: MeshGraph, node: MapNode): string {
  if (node.kind === 'door') return doorLabel(graph.door);
  if (node.kind === 'internet') return 'the internet';
  const parts = [node.name, node.kind === 'process' ? 'no service' : node.kind];
  const box = graph.boxes.get(node.box);
  if (box?.kind === 'host') parts.push(`on ${box.name}`);
  if (node.kind !== 'process') parts.push(health(node));
  if (node.public) parts.push('public');
  parts.push(...node.problems.map((code) => `problem ${code}`));
  const edges = [...graph.edges.values()];
  const inbound = edges.filter((edge) => edge.to === node.key);
  const outbound = edges.filter((edge) => edge.from === node.key);
  parts.push(...flowsText(inbound, 'in from', (edge) => edge.source));
  parts.push(...flowsText(outbound, 'out to', (edge) => edge.service));
  parts.push(...deniedText(inbound, 'from', (edge) => edge.source));
  parts.push(...deniedText(outbound, 'to', (edge) => edge.service));
  return parts.join(', ');
}

export function boxLabel(graph: MeshGraph, box: MapBox): string {
  const nodes = box.nodes.flatMap((key) => graph.nodes.get(key) ?? []);
  const services = nodes.filter((node) => node.service !== '');
  const ill = services.filter((node) => node.healthy < node.instances);
  const parts = [box.kind === 'host' ? `host ${box.name}` : box.name, count(services.length, 'service')];
  if (box.gateway) parts.push('gateway');
  if (!box.connected) parts.push('disconnected');
  else if (ill.length > 0) parts.push(`${ill.length} unhealthy`);
  return parts.filter((part) => part !== '').join(', ');
}

export function doorLabel(door: Door): string {
  const names = door.gateways.map(({ host, connected }) => (connected ? host : `${host}, disconnected`));
  if (door.state === 'unknown') {
    const hosts = door.gateways.map(({ host }) => host).join(' and ');
    const are = door.gateways.length === 1 ? 'is' : 'are';
    const what = `${hosts} ${are} disconnected from control and may still let the internet in`;
    return `public door, not known: ${what}, to ${door.services.join(', ')}`;
  }
  if (door.state === 'open') return `public door, open, through ${names.join(' and ')}, to ${door.services.join(', ')}`;
  if (door.gateways.length === 0) return 'public door, closed: no agent is a gateway';
  return 'public door, closed: no service is public';
}

/** One line, for the list of what is blocked and for what is pointed at. */
export function edgeText(edge: MapEdge): string {
  const ends = `${edge.source} → ${edge.service || 'public door'}`;
  if (edge.type === 'flow') return `${ends}: ${flowText(edge)}`;
  const port = edge.port === '' ? '' : `:${edge.port}`;
  const rate = edge.deniedPerSecond > 0 ? `, ${perSecond(edge.deniedPerSecond)}` : '';
  return `${ends}${port} denied by ${edge.rule || 'a rule'}${rate}`;
}

export function flowText(edge: FlowEdge): string {
  const parts = [
    `${perSecond(edge.openedPerSecond)} flows`,
    `${number(edge.open)} open`,
    bytesPerSecond(edge.bytesPerSecond),
  ];
  if (edge.failedPerSecond > 0) parts.push(`${perSecond(edge.failedPerSecond)} failing`);
  return parts.join(', ').replace('/s flows', ' flows/s').replace('/s failing', ' failing/s');
}

/** What a node's second line says. */
export function healthText(node: MapNode): string {
  if (node.kind === 'process') return 'no service of the mesh';
  if (!node.connected) return 'disconnected';
  if (node.instances === 0) return 'runs nowhere';
  if (node.healthy < node.instances) return `${node.healthy} of ${node.instances} healthy`;
  const copies = node.instances > 1 ? `×${node.instances}` : '';
  const [first, ...more] = node.ports;
  const ports = first === undefined ? '' : `:${first}${more.length > 0 ? ` +${more.length}` : ''}`;
  return [copies, ports].filter((part) => part !== '').join(' ') || node.kind;
}

function health(node: MapNode): string {
  if (node.instances === 0) return 'runs nowhere';
  const host = node.connected ? '' : ', disconnected';
  return `${node.healthy} of ${node.instances} healthy${host}`;
}

function flowsText(edges: readonly MapEdge[], word: string, name: (edge: MapEdge) => string): string[] {
  const flows = edges.filter((edge) => edge.type === 'flow');
  if (flows.length === 0) return [];
  const rate = flows.reduce((sum, edge) => sum + edge.openedPerSecond, 0);
  return [`${perSecond(rate).replace('/s', ' flows/s')} ${word} ${listed(flows.map(name))}`];
}

function deniedText(edges: readonly MapEdge[], word: string, name: (edge: MapEdge) => string): string[] {
  const denied = edges.filter((edge) => edge.type === 'denied');
  const told = new Set(denied.map((edge) => `denied ${word} ${name(edge)} by ${edge.rule || 'a rule'}`));
  return [...told];
}

function listed(names: readonly string[]): string {
  const distinct = [...new Set(names)].sort((left, right) => (left < right ? -1 : 1));
  const shown = distinct.slice(0, manyCallers);
  const more = distinct.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function count(many: number, word: string): string {
  return `${number(many)} ${word}${many === 1 ? '' : 's'}`;
}
