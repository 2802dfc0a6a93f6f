/** The agent's endpoint for Prometheus. Loaded only where it is asked for, with the library for what all programs tell. */
import { type HostPort, messageOf } from '@weft/proto';
import { loadMetrics } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { AgentError } from '../member/errors.ts';

/** `measured` writes the agent's own part; `unready` says why it does not serve now, if it does not. Throws AgentError when the address cannot be had. */
export async function serveAgentMetrics(
  address: HostPort,
  measured: () => Promise<string>,
  unready: () => string | undefined,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  const { Registry, registerProcessMetrics, serveMetrics } = await loadMetrics();
  const registry = new Registry();
  const end = registerProcessMetrics(registry, 'weft_agent_');
  try {
    const collect = async () => (await measured()) + (await registry.metrics());
    const server = await serveMetrics({ address, flag: '--metrics', collect, unready, logger });
    logger.info({ event: 'metrics-up', ...server.address }, 'metrics are served');
    return {
      close: async () => {
        end();
        await server.close();
      },
    };
  } catch (cause) {
    end();
    throw new AgentError('listen-failed', messageOf(cause), { cause });
  }
}
