/** Ports as they are written and compared. */
import type { PortRange, Protocol } from './mesh.ts';

/** `6379`, `8125/udp`, `5000-5010/tcp`: TCP is written only on ranges, as the mesh file does. */
export function formatPortRange(range: PortRange): string {
  if (range.first !== range.last) return `${range.first}-${range.last}/${range.protocol}`;
  return range.protocol === 'tcp' ? String(range.first) : `${range.first}/${range.protocol}`;
}

/** Whether any of the ranges holds the port. */
export function includesPort(ranges: readonly PortRange[], port: number, protocol: Protocol): boolean {
  return ranges.some((range) => range.protocol === protocol && port >= range.first && port <= range.last);
}

/** Every single port of the ranges, in order. */
export function* eachPort(ranges: readonly PortRange[]): Generator<{ port: number; protocol: Protocol }> {
  for (const range of ranges) {
    for (let port = range.first; port <= range.last; port++) yield { port, protocol: range.protocol };
  }
}
