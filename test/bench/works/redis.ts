/**
 * redis-benchmark, GET: many clients for requests a second, one client for its median time, and a new connection for each
 * request, which is the connect work once more by a load that costs little itself.
 */
import { metered } from '../cpu.ts';
import type { Endpoint, Path } from '../path.ts';
import { VALUE_SIZES } from '../servers.ts';
import type { Stage } from '../stage.ts';
import type { Sample, Work } from '../types.ts';

interface Get {
  readonly rps: number;
  readonly p50: number;
}

export function parseCsv(text: string): Get {
  const rows = text
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')));
  const header = rows.find((row) => row[0] === 'test') ?? [];
  const values = rows[rows.indexOf(header) + 1] ?? [];
  const cell = (name: string): number => Number(values[header.indexOf(name)] ?? Number.NaN);
  const found = { rps: cell('rps'), p50: cell('p50_latency_ms') };
  if (!(found.rps > 0) || !(found.p50 > 0)) throw new Error(`redis-benchmark: no figures in ${JSON.stringify(text)}`);
  return found;
}

async function get(stage: Stage, { host, port }: Endpoint, shape: Shape, requests: number): Promise<Get> {
  const counts = ['-c', `${shape.clients}`, '-n', `${requests}`, '-k', shape.reconnect ? '0' : '1'];
  const argv = ['redis-benchmark', '-h', host, '-p', `${port}`, ...counts, '--csv', '--precision', '3'];
  argv.push(...(shape.value === undefined ? ['-t', 'get'] : ['get', `value-${shape.value}`]));
  return parseCsv(await stage.client.check(argv, { timeoutMs: 60_000 }));
}

interface Shape {
  readonly clients: number;
  /** Requests of the run before, which tells how many make up the aimed time. */
  readonly first: number;
  readonly reconnect?: true;
  /** Bytes of what is got; three by themselves. */
  readonly value?: (typeof VALUE_SIZES)[number];
}

const ONE = { clients: 1, first: 500 };

/** A closed connection holds its caller's port for a minute, and a caller has 28,000 of them for one server. */
const MOST_CONNECTIONS = 8_000;

async function sample(stage: Stage, path: Path, to: Endpoint, shape: Shape, aim: number) {
  const { rps } = await get(stage, to, shape, shape.first);
  const aimed = Math.max(shape.first, Math.round(rps * aim));
  const requests = shape.reconnect ? Math.min(aimed, MOST_CONNECTIONS) : aimed;
  const [result, cpu] = await metered(path, () => get(stage, to, shape, requests));
  return { result, requests, cpu };
}

function redisWork(name: string, title: string, shape: Shape, figure: 'rps' | 'p50'): Work {
  return {
    name,
    title,
    unit: figure === 'rps' ? 'requests/s' : 'ms',
    better: figure === 'rps' ? 'more' : 'less',
    per: { label: '100k requests', amount: 1e5 },
    programs: ['redis-benchmark'],
    servers: ['redis'],
    carriedBy: (path, stage) => path.tcp(stage.ports.redis) !== undefined,
    async run(stage, path, { aim }): Promise<Sample> {
      const to = path.tcp(stage.ports.redis);
      if (to === undefined) throw new Error('no way for TCP');
      const { result, requests, cpu } = await sample(stage, path, to, shape, aim);
      // One client of larger answers is told beside many.
      const alone =
        shape.value === undefined ? undefined : await sample(stage, path, to, { ...shape, ...ONE }, aim / 4);
      const beside =
        figure === 'p50'
          ? { 'requests/s': result.rps }
          : { 'p50, ms': result.p50, ...(alone && { 'p50 of 1 client, ms': alone.result.p50 }) };
      return { value: result[figure], amount: requests, cpu, beside };
    },
  };
}

export const redisWorks: readonly Work[] = [
  redisWork('redis', 'redis GET, 50 clients', { clients: 50, first: 2_000 }, 'rps'),
  redisWork('redis-one', 'redis GET, 1 client, p50', ONE, 'p50'),
  ...VALUE_SIZES.map((value) => {
    const size = value / 1_024;
    return redisWork(
      `redis-${size}k`,
      `redis GET of ${size} KiB, 50 clients`,
      { clients: 50, first: 2_000, value },
      'rps',
    );
  }),
  redisWork(
    'redis-connect',
    'redis GET, a new connection each, 50 at once',
    { clients: 50, first: 100, reconnect: true },
    'rps',
  ),
];
