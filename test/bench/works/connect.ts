/** Connect, one request, its answer, close: 50 at once, by a client and a server of the bench's own. */
import { metered } from '../cpu.ts';
import type { Sample, Work } from '../types.ts';

const AT_ONCE = 50;
/** A closed connection holds its caller's port for a minute, and a caller has 28,000 of them for one server. */
const MOST_CALLS = 8_000;

export const connectWork: Work = {
  name: 'connect',
  title: 'connect, one request, close, 50 at once',
  unit: '/s',
  better: 'more',
  per: { label: '100k requests', amount: 1e5 },
  programs: [],
  servers: ['answer'],
  carriedBy: (path, stage) => path.tcp(stage.ports.answer) !== undefined,
  async run(stage, path, { aim }): Promise<Sample> {
    const endpoint = path.tcp(stage.ports.answer);
    if (endpoint === undefined) throw new Error('no way for TCP');
    const [calls, cpu] = await metered(path, () => stage.call(endpoint, AT_ONCE, MOST_CALLS, aim));
    const failures = Object.entries(calls.failures).map(([what, times]) => `${times} x ${what}`);
    if (calls.answered === 0) throw new Error(`no call was answered: ${failures.join(', ')}`);
    const note = failures.length === 0 ? {} : { note: `failed calls: ${failures.join(', ')}` };
    return { value: calls.answered / calls.seconds, amount: calls.answered, cpu, ...note };
  },
};
