/** An agent on its way out: which calls it leaves to other instances, and until when what is open may finish. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceReport } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';

const LOOK_MS = 50;

/** Services of this host that another one serves as well. Those that none does are served to the end: nobody else would take their calls. */
export function servedElsewhere({ services, self }: Netmap): ReadonlySet<string> {
  const other = ({ agentId, healthy }: { readonly agentId: string; readonly healthy: boolean }) =>
    healthy && agentId !== self?.agentId;
  return new Set([...services].flatMap(([name, { instances }]) => (instances.some(other) ? [name] : [])));
}

/** What control is told, so that callers go elsewhere. */
export function withoutLeft(
  reports: readonly InstanceReport[],
  left: ReadonlySet<string> | 'all',
): readonly InstanceReport[] {
  return reports.map((report) => (left === 'all' || left.has(report.service) ? { ...report, healthy: false } : report));
}

/** Resolves when no flow is open, or after this time. `open` answers how many are. */
export async function untilQuiet(open: () => Promise<number>, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs && (await open()) > 0) await sleep(LOOK_MS);
}
