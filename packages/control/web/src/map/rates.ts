/** Rates as words, and as widths of lines. */
import type { FlowEdge } from './graph.ts';

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

export function perSecond(rate: number): string {
  if (rate >= 10_000) return `${(rate / 1000).toFixed(0)}k/s`;
  if (rate >= 1000) return `${(rate / 1000).toFixed(1)}k/s`;
  if (rate >= 10) return `${rate.toFixed(0)}/s`;
  if (rate >= 0.1) return `${rate.toFixed(1).replace(/\.0$/, '')}/s`;
  return rate > 0 ? '<0.1/s' : '0/s';
}

export function bytesPerSecond(rate: number): string {
  let value = rate;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}/s`;
}

/** The most telling of an edge's numbers, short enough to stand on its line. Empty when nothing is to be told. */
export function shortRate(
  edge: Pick<FlowEdge, 'openedPerSecond' | 'bytesPerSecond' | 'open' | 'failedPerSecond'>,
): string {
  const failed = edge.failedPerSecond > 0 ? ` · ${perSecond(edge.failedPerSecond)} fail` : '';
  if (edge.openedPerSecond > 0) return `${perSecond(edge.openedPerSecond)}${failed}`;
  if (failed !== '') return failed.slice(3);
  if (edge.bytesPerSecond >= 1) return bytesPerSecond(edge.bytesPerSecond);
  return edge.open > 0 ? `${edge.open} open` : '';
}

/** Flows and bytes on one logarithmic scale: long-lived connections open none and yet carry much. 0 when still. */
export function activity(flows: number, bytes: number): number {
  return Math.max(Math.log2(1 + flows), Math.log2(1 + bytes / 2048) * 0.6);
}

/** From a hair for what stands still to 7 for thousands a second; in steps, so that small changes redraw nothing. */
export function widthOf(flows: number, bytes: number): number {
  return Math.min(7, 1.25 + Math.round(activity(flows, bytes) * 2) / 4);
}
