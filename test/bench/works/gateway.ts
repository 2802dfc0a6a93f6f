/** HTTP on kept connections, by name, to a web server on the other host: through Weft's gateway, or HAProxy in front of each peer. */
import { metered } from '../cpu.ts';
import { processesOf } from '../path.ts';
import { WEB_HOST } from '../peers/weft.ts';
import type { Sample, Work } from '../types.ts';

const AT_ONCE = 50;

interface Answers {
  readonly answered: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly failures: readonly string[];
}

export const gatewayWork: Work = {
  name: 'gateway',
  title:
    'HTTP GET of 1 KiB by name, 50 kept connections, through a gateway: HAProxy in front of all but Weft, of direct too',
  unit: 'requests/s',
  better: 'more',
  per: { label: '100k requests', amount: 1e5 },
  programs: [],
  servers: ['web'],
  carriedBy: (path) => path.http !== undefined,
  async run(stage, path, { aim }): Promise<Sample> {
    if (path.http === undefined) throw new Error('no way for HTTP');
    const { host, port } = path.http;
    const load = async (seconds: number): Promise<Answers> => {
      const argv = ['http-load.ts', host, port, WEB_HOST, '/answer', AT_ONCE, seconds].map(String);
      const output = await stage.client.check(['node', ...argv.with(0, `test/bench/programs/${argv[0]}`)], {
        timeoutMs: (seconds + 15) * 1_000,
      });
      return JSON.parse(output) as Answers;
    };
    // Both ends compile what they run most.
    await load(aim / 4);
    const [answers, cpu] = await metered({ ...path, processes: processesOf(path) }, () => load(aim));
    if (answers.failures.length > 0) throw new Error(answers.failures.join(', '));
    const beside = { 'p50, ms': answers.p50, 'p99, ms': answers.p99 };
    return { value: answers.answered / answers.seconds, amount: answers.answered, cpu, beside };
  },
};
