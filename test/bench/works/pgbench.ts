/** pgbench, select-only, on a real PostgreSQL: on kept connections, and with a new one for each transaction. */
import { metered } from '../cpu.ts';
import type { Sample, Work } from '../types.ts';

/** Each with a thread of its own: pgbench's connect blocks, and one thread would make one connection after the other. */
const CLIENTS = 8;

interface Transactions {
  readonly perSecond: number;
  readonly count: number;
  /** Milliseconds, mean. */
  readonly latency: number;
}

/** What pgbench says at its end. Throws where a figure is missing, or a transaction failed. */
export function parsePgbench(text: string): Transactions {
  const figure = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const found = {
    perSecond: figure(/^tps = ([\d.]+)/m),
    count: figure(/^number of transactions actually processed: (\d+)/m),
    latency: figure(/^latency average = ([\d.]+) ms/m),
  };
  const failed = figure(/^number of failed transactions: (\d+)/m);
  if (!(found.perSecond > 0) || !(found.count > 0) || failed > 0) throw new Error(`pgbench: ${text.slice(-600)}`);
  return found;
}

function pgbenchWork(name: string, title: string, more: readonly string[]): Work {
  return {
    name,
    title,
    unit: 'transactions/s',
    better: 'more',
    per: { label: '100k transactions', amount: 1e5 },
    programs: ['pgbench'],
    servers: ['postgres'],
    carriedBy: (path, stage) => path.tcp(stage.ports.postgres) !== undefined,
    async run(stage, path, { seconds }): Promise<Sample> {
      const to = path.tcp(stage.ports.postgres);
      if (to === undefined) throw new Error('no way for TCP');
      const where = ['--host', to.host, '--port', `${to.port}`, '--username', 'postgres', 'postgres'];
      const load = [
        '--client',
        `${CLIENTS}`,
        '--jobs',
        `${CLIENTS}`,
        '--time',
        `${seconds}`,
        '--no-vacuum',
        '--select-only',
        ...more,
      ];
      const [output, cpu] = await metered(path, () =>
        stage.client.check(['pgbench', ...load, ...where], { timeoutMs: (seconds + 20) * 1_000 }),
      );
      const { perSecond, count, latency } = parsePgbench(output);
      return { value: perSecond, amount: count, cpu, beside: { 'mean, ms': latency } };
    },
  };
}

export const pgbenchWorks: readonly Work[] = [
  pgbenchWork('pgbench', `pgbench, select-only, ${CLIENTS} clients`, []),
  pgbenchWork('pgbench-connect', `pgbench, select-only, ${CLIENTS} clients, each transaction by a new connection`, [
    '--connect',
  ]),
];
