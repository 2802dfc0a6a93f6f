/** iperf3: streams in both directions, and datagrams at a fixed offer. */

import { readFileSync } from 'node:fs';
import { defined } from '@weft/proto';
import { metered } from '../cpu.ts';
import type { Endpoint, Path } from '../path.ts';
import type { Stage } from '../stage.ts';
import type { Length, Sample, Work } from '../types.ts';
import { whenFree } from '../when-free.ts';

interface IperfSum {
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly seconds: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: IperfSum;
    readonly sum?: IperfSum & { readonly packets: number; readonly lost_packets: number };
  };
}

function iperf(stage: Stage, endpoint: Endpoint, more: readonly string[]): Promise<IperfReport> {
  return whenFree(() => iperfOnce(stage, endpoint, more));
}

async function iperfOnce(stage: Stage, { host, port }: Endpoint, more: readonly string[]): Promise<IperfReport> {
  const argv = ['iperf3', '--client', host, '--port', `${port}`, '--json', ...more];
  const { code, stdout, stderr } = await stage.client.run(argv, { timeoutMs: 20_000 });
  // Its errors stand in the report, and its exit code with them.
  const report = stdout.trim() === '' ? {} : (JSON.parse(stdout) as IperfReport);
  if (report.error !== undefined || code !== 0) {
    throw new Error(`iperf3: exit ${code}, ${report.error ?? stderr.trim()}`);
  }
  return report;
}

async function receive(stage: Stage, endpoint: Endpoint, more: readonly string[]): Promise<IperfSum> {
  const received = (await iperf(stage, endpoint, more)).end?.sum_received;
  if (received === undefined || received.bytes === 0) throw new Error('iperf3: nothing was received');
  return received;
}

/** iperf3 knows no parts of a second: a shorter run is told in bytes, by the rate of a first few. */
async function bound(stage: Stage, endpoint: Endpoint, { seconds, aim }: Length, more: readonly string[]) {
  const first = aim < seconds ? await iperf(stage, endpoint, ['--bytes', '4M', ...more]) : undefined;
  const received = first?.end?.sum_received;
  // The first few may all be in buffers on their way when the sender ends, and then they tell nothing.
  if (received === undefined || received.bytes < 1e6) return ['--time', `${seconds}`];
  return ['--bytes', `${Math.max(4e6, Math.round((received.bits_per_second / 8) * aim))}`];
}

function streams(name: string, title: string, more: readonly string[]): Work {
  return {
    name,
    title,
    unit: 'Mbit/s',
    better: 'more',
    per: { label: 'GB', amount: 1e9 },
    programs: ['iperf3'],
    servers: ['iperf'],
    carriedBy: (path, stage) => path.tcp(stage.ports.iperf) !== undefined,
    async run(stage, path, length): Promise<Sample> {
      const endpoint = path.tcp(stage.ports.iperf);
      if (endpoint === undefined) throw new Error('no way for TCP');
      const argv = [...(await bound(stage, endpoint, length, more)), ...more];
      const [received, cpu] = await metered(path, () => receive(stage, endpoint, argv));
      return { value: received.bits_per_second / 1e6, amount: received.bytes, cpu };
    },
  };
}

const DATAGRAM = 1_200;
const OFFERED = 60_000;

/**
 * iperf3's own socket buffers, so that a sink that waits for a core is not what loses. It ends where the kernel grants less
 * than was asked for.
 */
function windows(): readonly string[] {
  try {
    const most = ['rmem_max', 'wmem_max'].map((name) => Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')));
    return ['--window', `${Math.min(1 << 20, ...most)}`];
  } catch {
    return [];
  }
}

async function datagrams(stage: Stage, path: Path, seconds: number): Promise<Sample> {
  const endpoint = path.udp(stage.ports.iperf);
  if (endpoint === undefined) throw new Error('no way for UDP');
  const rate = `${OFFERED * DATAGRAM * 8}`;
  const argv = ['--time', `${seconds}`, '--udp', '--bitrate', rate, '--length', `${DATAGRAM}`, ...windows()];
  const [report, cpu] = await metered(path, () => iperf(stage, endpoint, argv));
  // The counts of the server: the highest number that it saw, and what was missing below it.
  const sum = report.end?.sum;
  if (sum === undefined) throw new Error('iperf3: no sum');
  const delivered = sum.packets - sum.lost_packets;
  if (delivered <= 0) throw new Error('iperf3: nothing was delivered');
  const offered = sum.packets / sum.seconds;
  const note = offered < OFFERED * 0.97 ? `offered only ${Math.round(offered)}/s` : undefined;
  return { value: delivered / sum.seconds, amount: delivered, cpu, ...defined({ note }) };
}

export const iperfWorks: readonly Work[] = [
  streams('stream', 'one iperf3 stream, client to server', []),
  streams('stream-back', 'one iperf3 stream, server to client', ['--reverse']),
  streams('streams', 'eight iperf3 streams', ['--parallel', '8']),
];

export const datagramWork: Work = {
  name: 'datagrams',
  title: 'UDP 1,200 B offered at 60k/s, delivered',
  unit: '/s',
  better: 'more',
  per: { label: '100k datagrams', amount: 1e5 },
  programs: ['iperf3'],
  servers: ['iperf'],
  carriedBy: (path, stage) => path.udp(stage.ports.iperf) !== undefined,
  run: (stage, path, { seconds }) => datagrams(stage, path, seconds),
};
