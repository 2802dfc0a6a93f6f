/** What the map draws, as plain values: where things stand is decided elsewhere, from the topology alone. */
import type { Kind } from '@weft/proto';

/** Whether services stand in the boxes of the hosts that run them, or once each, in layers by who calls whom. */
export type Grouping = 'host' | 'network';

/** `process` is what runs on a host and is no service: its caller's name is `host:NAME`. */
export type NodeKind = Kind | 'process' | 'internet' | 'door';

export interface MapNode {
  readonly key: string;
  readonly kind: NodeKind;
  readonly name: string;
  /** Empty unless it is a service. */
  readonly service: string;
  /** Key of the box it stands in; empty for the internet and its door. */
  readonly box: string;
  /** Of the instances that stand in its box. */
  readonly instances: number;
  readonly healthy: number;
  readonly ports: readonly string[];
  readonly public: boolean;
  /** Codes of problems reported of it here. */
  readonly problems: readonly string[];
  /** False when every host that it stands for is disconnected. */
  readonly connected: boolean;
}

export interface MapBox {
  readonly key: string;
  readonly name: string;
  /** `adrift` holds the services that run nowhere. */
  readonly kind: 'host' | 'network' | 'adrift';
  readonly connected: boolean;
  readonly gateway: boolean;
  /** Keys, in the order of their names. */
  readonly nodes: readonly string[];
}

interface Ends {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

export interface FlowEdge extends Ends {
  readonly type: 'flow';
  readonly source: string;
  readonly service: string;
  readonly open: number;
  readonly openedPerSecond: number;
  readonly failedPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface DeniedEdge extends Ends {
  readonly type: 'denied';
  readonly source: string;
  readonly service: string;
  readonly deniedPerSecond: number;
  /** Empty when not told. */
  readonly rule: string;
  /** As in the mesh file; empty when not told. */
  readonly port: string;
  readonly revision: number;
  readonly atMs: number;
}

export type MapEdge = FlowEdge | DeniedEdge;

/**
 * `unknown` when every gateway is disconnected from control: each goes on by what it knew, and may still let the internet in.
 */
export type DoorState = 'open' | 'closed' | 'unknown';

/** Where the internet comes in. */
export interface Door {
  readonly gateways: readonly { readonly host: string; readonly connected: boolean }[];
  /** Open while a gateway is connected and a service is public. */
  readonly state: DoorState;
  /** Names of the public services, sorted. */
  readonly services: readonly string[];
}

export interface MeshGraph {
  readonly grouping: Grouping;
  readonly nodes: ReadonlyMap<string, MapNode>;
  readonly boxes: ReadonlyMap<string, MapBox>;
  readonly edges: ReadonlyMap<string, MapEdge>;
  readonly door: Door;
}

export const internetKey = 'internet';
export const doorKey = 'door';
export const networkBoxKey = 'box:network';
export const adriftBoxKey = 'box:adrift';

export function hostBoxKey(host: string): string {
  return `box:host:${host}`;
}

/** No service name holds an `@` or a `:`, so keys of services and of processes never meet. */
export function serviceKey(service: string, box: string): string {
  return `${service}@${box}`;
}

export function processKey(caller: string, box: string): string {
  return `${caller}@${box}`;
}

/** Whether anything moves on it now. */
export function isMoving(edge: MapEdge): edge is FlowEdge {
  return edge.type === 'flow' && (edge.openedPerSecond > 0 || edge.bytesPerSecond > 0);
}
