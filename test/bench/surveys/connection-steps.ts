/** Where the time of a new connection goes: read off live agents by what they tell a tracer of each opening. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { notLinux } from '../limits/limit.ts';
import { answerOf, type LimitAgent, LimitMesh } from '../limits/mesh.ts';
import { figure, NONE } from '../markdown.ts';
import { spread } from '../statistics.ts';
import type { Opening } from './programs/record-openings.ts';
import { type Call, STEPS, stepTimes } from './steps.ts';
import type { Survey, SurveyTable } from './survey.ts';

const programs = join(import.meta.dirname, 'programs');
const MANY = 50;

interface Measured {
  readonly openings: readonly Opening[];
  readonly calls: readonly Call[];
}

export const connectionSteps: Survey = {
  name: 'connection-steps',
  title: 'Where the time of a new connection goes, ms',
  missing: notLinux,
  async measure(quick, signal): Promise<SurveyTable> {
    const one = await openings(quick ? 200 : 2_000, 1, signal);
    const many = await openings(quick ? 500 : 8_000, MANY, signal);
    const alone = stepTimes(one.openings, one.calls);
    // Of calls that overlap nobody can say which opening was whose.
    const beside = stepTimes(many.openings, []);
    const rows = STEPS.map((step, index) => [step, ...cells(alone[index] ?? []), ...cells(beside[index] ?? [])]);
    const whole = ({ calls }: Measured): readonly string[] =>
      cells(calls.map(([asked, , answered]) => (answered - asked) / 1_000));
    return {
      header: ['', 'one at a time, p50', 'p99', `${MANY} at once, p50`, 'p99'],
      rows: [...rows, ['the whole, as its caller sees it', ...whole(one), ...whole(many)]],
      how: `${one.calls.length} connections one at a time, and ${many.calls.length} by ${MANY} at once, of which the first and the last step cannot be told apart`,
    };
  },
};

/** The agents write what they have seen when they end. */
async function openings(count: number, atOnce: number, signal: AbortSignal): Promise<Measured> {
  await using mesh = await LimitMesh.start('  echo: { kind: private, ports: [7000] }\n', signal);
  const { port } = await mesh.server('echo');
  const recorded = (file: string): NodeJS.ProcessEnv => ({
    NODE_OPTIONS: `--import ${join(programs, 'record-openings.ts')}`,
    OPENINGS_FILE: file,
    // A place where nobody listens: what would go there is not made.
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
  });
  const files = ['serving', 'calling'].map((name) => join(mesh.control.host.dir, `${name}.json`));
  const [served = '', called = ''] = files;
  const serving = await mesh.agent('serving', { echo: { 7000: port } }, { env: recorded(served) });
  const calling = await mesh.agent('calling', {}, { env: recorded(called) });
  const to = await mesh.place(calling, 'echo', 7000);
  const load = (calls: number): Promise<Call[]> => {
    const argv = [join(programs, 'stepped-calls.ts'), to.host, to.port, calls, atOnce].map(String);
    return answerOf<Call[]>(mesh.run([process.execPath, ...argv]), 120_000);
  };
  // What is compiled and found for the first time is no step of a connection.
  await load(Math.ceil(count / 10));
  const calls = await load(count);
  await Promise.all([serving, calling].map(({ process: agent }: LimitAgent) => agent.stop()));
  const begin = calls[0]?.[0] ?? 0;
  const all = files.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Opening[]);
  return { openings: all.filter(({ begun }) => begun >= begin), calls };
}

/** Median, and what 99 of 100 stay under. */
function cells(times: readonly number[]): readonly [string, string] {
  const { p50, p99 } = spread(times);
  return times.length === 0 ? [NONE, NONE] : [figure(p50), figure(p99)];
}
