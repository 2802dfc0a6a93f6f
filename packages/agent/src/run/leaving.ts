/** An agent on its way out: which calls it leaves to other instances, and until when what is open may finish. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eachPort, type InstanceReport, includesPort, mergePorts } from '@weft/proto';
import { servedElsewhere } from '../flows/served-elsewhere.ts';
import type { Netmap } from '../words/netmap.ts';

const LOOK_MS = 50;

/**
 * What control is told of this host's services: what other instances serve is silent here, so that callers go there, and come here
 * where those fail.
 */
export class Leaving {
  /** Nobody else served these at some time since. They stay: two hosts that leave at once would pass them to and fro. */
  readonly #kept = new Set<string>();

  reports(reports: readonly InstanceReport[], netmap: Netmap): readonly InstanceReport[] {
    return reports.map((report) => this.#report(report, netmap));
  }

  #report(report: InstanceReport, netmap: Netmap): InstanceReport {
    const { service, notListening } = report;
    const ports = [...eachPort(netmap.services.get(service)?.service.ports ?? [])];
    const silent = ports.filter(
      ({ port, protocol }) =>
        includesPort(notListening, port, protocol) || this.#leaves(netmap, { service, port, protocol }),
    );
    const healthy = report.healthy && (ports.length === 0 || silent.length < ports.length);
    const merged = mergePorts(silent.map(({ port, protocol }) => ({ protocol, first: port, last: port })));
    return { ...report, healthy, notListening: merged };
  }

  #leaves(netmap: Netmap, called: Parameters<typeof servedElsewhere>[1]): boolean {
    const key = `${called.service}:${called.port}/${called.protocol}`;
    if (!servedElsewhere(netmap, called)) this.#kept.add(key);
    return !this.#kept.has(key);
  }
}

/** Resolves when no flow is open, or after this time. `open` answers how many are. */
export async function untilQuiet(open: () => Promise<number>, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs && (await open()) > 0) await sleep(LOOK_MS);
}
