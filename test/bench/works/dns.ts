/** dnsperf: names of the zone, asked over loopback on the client host. */

import { metered } from '../cpu.ts';
import { writeOn } from '../peers/proxy.ts';
import { SERVERS } from '../servers.ts';
import type { Sample, Work } from '../types.ts';

/** Answers per second, and how many; an answer that is not the name's address is an error. */
export function parseReport(text: string): {
  readonly rate: number;
  readonly completed: number;
  readonly lost: number;
} {
  const figure = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const report = {
    rate: figure(/Queries per second:\s+([\d.]+)/),
    completed: figure(/Queries completed:\s+(\d+)/),
    lost: figure(/Queries lost:\s+(\d+)/),
  };
  const noError = /Response codes:\s+NOERROR (\d+) \(100\.00%\)/.exec(text)?.[1];
  if (!(report.rate > 0) || Number(noError) !== report.completed) throw new Error(`dnsperf: ${text.slice(-800)}`);
  return report;
}

export const dnsWork: Work = {
  name: 'dns',
  title: 'DNS answers of our zone',
  unit: 'queries/s',
  better: 'more',
  per: { label: '100k queries', amount: 1e5 },
  programs: ['dnsperf'],
  servers: [],
  carriedBy: (path) => path.dns !== undefined,
  async run(stage, path, { seconds }): Promise<Sample> {
    if (path.dns === undefined) throw new Error('no DNS');
    const { host, port } = path.dns;
    const file = writeOn(stage.client, 'queries', SERVERS.map((name) => `${name}.internal A\n`).join(''));
    const argv = ['dnsperf', '-s', host, '-p', `${port}`, '-d', file, '-c', '4', '-l', `${seconds}`];
    const [output, cpu] = await metered(path, () => stage.client.check(argv));
    const { rate, completed, lost } = parseReport(output);
    return { value: rate, amount: completed, cpu, ...(lost === 0 ? {} : { note: `${lost} queries lost` }) };
  },
};
