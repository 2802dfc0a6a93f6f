/** How long a small message waits beside a bulk stream to the same host: a ping-pong alone, and then beside iperf3. */
import type { Process } from '../../harness/process.ts';
import type { Endpoint, Path } from '../path.ts';
import type { Stage } from '../stage.ts';
import { median } from '../statistics.ts';
import type { Sample, Work } from '../types.ts';
import { whenFree } from '../when-free.ts';

interface Pings {
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

async function ping(stage: Stage, { host, port }: Endpoint, milliseconds: number): Promise<Pings> {
  const argv = ['node', 'test/bench/limits/programs/ping.ts', host, `${port}`, `${milliseconds}`];
  return JSON.parse(await stage.client.check(argv, { timeoutMs: milliseconds + 30_000 })) as Pings;
}

/** Each half second, in Mbit/s. */
const SAID = ['-i', '0.5', '-f', 'm', '--forceflush'] as const;

/** A stream, for so long at most, as fast as it goes or `limit` Mbit/s; it has found its pace when this resolves. */
function pour(stage: Stage, { host, port }: Endpoint, seconds: number, limit: number): Promise<Process> {
  // Of 0 bits a second iperf3 means as many as there can be.
  const length = ['-t', `${seconds}`, '-b', `${limit}M`];
  return whenFree(async () => {
    const stream = stage.client.start(['iperf3', '-c', host, '-p', `${port}`, ...length, ...SAID]);
    try {
      await stream.output(/bits\/sec/);
    } catch (error) {
      await stream.kill();
      throw error;
    }
    return stream;
  });
}

/** What the client of iperf3 has said of each half second, Mbit/s: the median of these. */
export function paceOf(output: string): number {
  const paces = [...output.matchAll(/([\d.]+) Mbits\/sec/g)].map(([, pace]) => Number(pace));
  const pace = median(paces);
  if (pace === undefined) throw new Error(`iperf3: no pace in ${JSON.stringify(output.slice(-300))}`);
  return pace;
}

async function besideBulk(stage: Stage, small: Endpoint, bulk: Endpoint, milliseconds: number, limit: number) {
  const stream = await pour(stage, bulk, Math.ceil(2 * (milliseconds / 1_000)) + 30, limit);
  try {
    const pings = await ping(stage, small, milliseconds);
    if (!stream.running) throw new Error(`the bulk stream ended: ${stream.stdout.slice(-300)}${stream.stderr}`);
    return { pings, pace: paceOf(stream.stdout) };
  } finally {
    // Its server takes one client at a time, and is free when this one has left in order.
    stream.signal('SIGINT');
    await stream.finished(5_000);
  }
}

function ends(path: Path, stage: Stage): readonly [Endpoint, Endpoint] | undefined {
  const [small, bulk] = [path.tcp(stage.ports.answer), path.tcp(stage.ports.iperf)];
  return small === undefined || bulk === undefined ? undefined : [small, bulk];
}

/** `limit`: of the stream, Mbit/s; 0 is none. */
function pingWork(name: string, title: string, limit: number): Work {
  return {
    name,
    title: `${title}, p99`,
    unit: 'ms',
    better: 'less',
    per: { label: '100k pings', amount: 1e5 },
    programs: ['iperf3'],
    servers: ['iperf', 'answer'],
    carriedBy: (path, stage) => ends(path, stage) !== undefined,
    async run(stage, path, { aim }): Promise<Sample> {
      const [small, bulk] = ends(path, stage) ?? [];
      if (small === undefined || bulk === undefined) throw new Error('no way for TCP');
      const alone = await ping(stage, small, aim * 600);
      const { pings, pace } = await besideBulk(stage, small, bulk, aim * 1_500, limit);
      const beside = {
        'p50, ms': pings.p50 / 1_000,
        'p99 alone, ms': alone.p99 / 1_000,
        'p50 alone, ms': alone.p50 / 1_000,
        'p99 over alone': pings.p99 / alone.p99,
        'stream, Mbit/s': pace,
      };
      const note = pace < limit * 0.95 ? { note: `only ${Math.round(pace)} Mbit/s` } : {};
      // Most of the processor time is the stream's.
      return { value: pings.p99 / 1_000, amount: pings.count, cpu: undefined, beside, ...note };
    },
  };
}

/** A tool that carries the stream faster has less of the machine left for the message: at one pace for all it is the same load. */
export const pingWorks: readonly Work[] = [
  pingWork('ping', '64-byte ping-pong beside one iperf3 stream to the same host', 0),
  pingWork('ping-paced', '64-byte ping-pong beside one iperf3 stream of 1 Gbit/s to the same host', 1_000),
];
