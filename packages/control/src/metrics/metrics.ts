/** Control's metrics: counted from its start on, served when asked for. */
import type { HostPort } from '@weft/proto';
import { loadMetrics, type MetricsServer, type Registry } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { type ControlCounters, createCounters } from './counters.ts';
import { type GaugeSources, registerGauges } from './gauges.ts';

export interface MetricsOptions {
  readonly address: HostPort;
  readonly sources: GaugeSources;
  /** Why no agent is served now, if none is. */
  readonly unready: () => string | undefined;
  readonly logger: Logger;
}

export interface ControlMetrics {
  readonly counters: ControlCounters;
  /** For what other parts have to tell. */
  readonly registry: Registry;
  /** Rejects with ListenError. */
  serve(options: MetricsOptions): Promise<MetricsServer>;
}

export async function openMetrics(): Promise<ControlMetrics> {
  const library = await loadMetrics();
  const registry = new library.Registry();
  return {
    counters: createCounters(library, registry),
    registry,
    async serve({ address, sources, unready, logger }) {
      const refresh = registerGauges(library, registry, sources);
      const collect = async (): Promise<string> => {
        refresh();
        return await registry.metrics();
      };
      const server = await library.serveMetrics({ address, flag: '--metrics', collect, unready, logger });
      const end = library.registerProcessMetrics(registry, 'weft_control_');
      return {
        address: server.address,
        close: async () => {
          end();
          await server.close();
        },
      };
    },
  };
}
