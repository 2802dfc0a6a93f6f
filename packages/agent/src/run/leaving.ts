/** An agent on its way out: which calls it leaves to other instances, and until when what is open may finish. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eachPort, type InstanceReport, includesPort, mergePorts, type PortRange, type Protocol } from '@weft/proto';
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
    const { opened = [], ...declared } = report;
    const { service, notListening } = declared;
    const ports = [...eachPort(netmap.services.get(service)?.service.ports ?? [])];
    const silent = ports.filter(
      ({ port, protocol }) =>
        includesPort(notListening, port, protocol) || this.#leaves(netmap, { service, port, protocol }),
    );
    const published = [...eachPort(opened)];
    const kept = published.filter((place) => !this.#leaves(netmap, { service, ...place }));
    const none = ports.length + published.length === 0;
    const healthy = report.healthy && (none || silent.length < ports.length || kept.length > 0);
    const left = { ...declared, healthy, notListening: rangesOf(silent) };
    return kept.length === 0 ? left : { ...left, opened: rangesOf(kept) };
  }

  #leaves(netmap: Netmap, called: Parameters<typeof servedElsewhere>[1]): boolean {
    const key = `${called.service}:${called.port}/${called.protocol}`;
    if (!servedElsewhere(netmap, called)) this.#kept.add(key);
    return !this.#kept.has(key);
  }
}

function rangesOf(places: readonly { readonly port: number; readonly protocol: Protocol }[]): PortRange[] {
  return mergePorts(places.map(({ port, protocol }) => ({ protocol, first: port, last: port })));
}

/** Resolves when no flow is open, or after this time. `open` answers how many are. */
export async function untilQuiet(open: () => Promise<number>, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs && (await open()) > 0) await sleep(LOOK_MS);
}
