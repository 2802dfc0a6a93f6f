/**
 * GETs from redis at a fixed rate over 50 kept connections, an open loop: what a load costs that is not all that the machine can do. A
 * closed loop at full speed finds many messages at once, and each costs less then.
 */
import { metered } from '../cpu.ts';
import type { Sample, Work } from '../types.ts';

const CONNECTIONS = 50;

interface Shape {
  readonly key: string;
  /** Bytes of the key's value. */
  readonly size: number;
  readonly perSecond: number;
}

interface Answers {
  readonly count: number;
  readonly seconds: number;
  /** Milliseconds, from when a request was due. */
  readonly p50: number;
  readonly p99: number;
}

/** A request, and the bytes of its answer, as redis has them on the wire. */
export function getOf({ key, size }: Pick<Shape, 'key' | 'size'>): readonly [request: string, answerBytes: number] {
  return [`*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`, `$${size}\r\n`.length + size + '\r\n'.length];
}

function pacedWork(name: string, title: string, shape: Shape): Work {
  return {
    name,
    title: `${title} over ${CONNECTIONS} kept connections, p50`,
    unit: 'ms',
    better: 'less',
    per: { label: '100k requests', amount: 1e5 },
    programs: [],
    servers: ['redis'],
    carriedBy: (path, stage) => path.tcp(stage.ports.redis) !== undefined,
    async run(stage, path, { aim }): Promise<Sample> {
      const to = path.tcp(stage.ports.redis);
      if (to === undefined) throw new Error('no way for TCP');
      const [request, bytes] = getOf(shape);
      const argv = [to.host, to.port, JSON.stringify(request), bytes, CONNECTIONS, shape.perSecond, aim].map(String);
      const load = stage.client.start(['node', 'test/bench/programs/paced-load.ts', ...argv]);
      // Opening the connections is no part of it.
      await load.output(/ready/);
      const [[printed], cpu] = await metered(path, () => load.output(/^\{.*\}$/m, (aim + 15) * 1_000));
      await load.finished();
      const { count, seconds, p50, p99 } = JSON.parse(printed) as Answers;
      const kept = count / seconds;
      const note = kept < shape.perSecond * 0.95 ? { note: `only ${Math.round(kept)}/s` } : {};
      return { value: p50, amount: count, cpu, beside: { 'p99, ms': p99 }, ...note };
    },
  };
}

const FEW = { key: 'key:__rand_int__', size: 3 };

export const pacedWorks: readonly Work[] = [
  pacedWork('paced', 'redis GET, 1,000 a second', { ...FEW, perSecond: 1_000 }),
  pacedWork('paced-5k', 'redis GET, 5,000 a second', { ...FEW, perSecond: 5_000 }),
  pacedWork('paced-1k', 'redis GET of 1 KiB, 1,000 a second', { key: 'value-1024', size: 1_024, perSecond: 1_000 }),
];
