/** Weft beside its peers: see `--help`. Exit codes: 0 measured, 1 something could not be, 2 wrong usage, 130 interrupted. */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { delimiter } from 'node:path';
import { type Arguments, chosen, parseArguments, USAGE } from './arguments.ts';
import { limits as allLimits } from './limits/index.ts';
import type { Limit } from './limits/limit.ts';
import { measureLimits } from './limits/measure.ts';
import { allPeers } from './peers/index.ts';
import { renderReport } from './report.ts';
import { failuresOf, targetFigures, workFigures } from './result.ts';
import { runnable, runRounds, startPeers, stopPath, wanted } from './run.ts';
import { Stage } from './stage.ts';
import { surveys as allSurveys } from './surveys/index.ts';
import { makeSurveys, type Survey } from './surveys/survey.ts';
import { targets } from './targets.ts';
import type { Peer, Work } from './types.ts';
import { UsageError } from './usage.ts';
import { loadVersions } from './versions.ts';
import { allWorks } from './works/index.ts';

const print = (text: string): void => void process.stdout.write(text);
/** Progress goes beside the table, and only where someone watches. */
const tell = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}`));

/** JSON has no maps. */
const plain = (_key: string, value: unknown): unknown => (value instanceof Map ? Object.fromEntries(value) : value);

interface Plan {
  readonly works: readonly Work[];
  readonly surveys: readonly Survey[];
  readonly limits: readonly Limit[];
  readonly peers: readonly Peer[];
}

function list({ works, limits, surveys, peers }: Plan): string {
  return [
    ...works.map(({ name, title, unit }) => `work    ${name.padEnd(16)} ${title}, ${unit}`),
    ...limits.map(({ name, what, target }) => `bound   ${name.padEnd(16)} ${target.padEnd(16)} ${what}`),
    ...surveys.map(({ name, title }) => `survey  ${name.padEnd(16)} ${title}`),
    ...peers.map(({ name }) => `peer    ${name}`),
    ...targets.map(({ work, peer, figure, bound, ratio }) => {
      return `target  ${work.padEnd(16)} ${figure === 'cpu' ? 'CPU ' : ''}${bound} ${ratio}x ${peer}`;
    }),
    '',
  ].join('\n');
}

/** All works by all peers, on a stage of their own that is gone afterwards. */
async function compare(options: Arguments, { works, peers }: Plan, labs: AsyncDisposable[], signal: AbortSignal) {
  // A lab is ended also where its stage was never finished.
  await using ending = new AsyncDisposableStack();
  const stage = await Stage.create(options.loopback, options.programs, (lab) => {
    labs.push(lab);
    ending.use(lab);
  });
  ending.use(stage.leftovers);
  if (options.largeHost) await stage.enlarge();
  const { works: kept, leftOut: withoutProgram } = runnable(stage, works);
  const { paths, versions, leftOut, failures } = await startPeers(stage, wanted(peers, kept), signal, tell);
  ending.defer(async () => {
    await Promise.all([...paths.values()].map(stopPath));
  });
  const plan = { peers, works: kept, paths, rounds: options.rounds, length: options.length, warm: !options.quick };
  const ran = await runRounds(stage, plan, signal, tell);
  const figures = workFigures(ran.runs);
  return {
    stage:
      (stage.loopback === undefined ? 'two hosts made of network namespaces' : `loopback (${stage.loopback})`) +
      (options.largeHost ? ', with 10,000 processes and 50,000 sockets beside the callers' : ''),
    versions,
    loads: await loadVersions(stage),
    leftOut: [...leftOut, ...withoutProgram],
    works: figures,
    warmed: ran.warmed,
    targets: targetFigures(figures, targets),
    failures: [
      ...[...stage.failed].map(([name, why]) => `${name} did not start: ${why}`),
      ...failures,
      ...ran.failures,
      ...failuresOf(figures),
    ],
  };
}

async function bench(options: Arguments, plan: Plan): Promise<number> {
  const interrupted = new AbortController();
  const labs: AsyncDisposable[] = [];
  // What is being waited for fails when its processes are gone, and then the abort is found. A lab whose folder is still being
  // written to may not go at once; it is ended again below, and there its error counts.
  const interrupt = (): void => {
    interrupted.abort();
    for (const lab of labs) Promise.resolve(lab[Symbol.asyncDispose]()).catch(() => undefined);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    const compared = plan.works.length === 0 ? undefined : await compare(options, plan, labs, interrupted.signal);
    const limits = await measureLimits(plan.limits, options.quick, interrupted.signal, tell);
    const surveys = await makeSurveys(plan.surveys, options.quick, interrupted.signal, tell);
    tell('');
    const unmade = surveys.flatMap(({ name, reason, failed }) => (failed ? [`${name}: ${reason}`] : []));
    const failures = limits.flatMap(({ name, detail, failed }) => (failed ? [`${name}: ${detail}`] : []));
    const report = {
      quick: options.quick,
      rounds: options.rounds,
      machine: { cores: availableParallelism(), model: cpus()[0]?.model ?? 'unknown', node: process.version },
      workers: options.workers,
      stage: 'nothing compared',
      versions: new Map<string, string>(),
      loads: new Map<string, string>(),
      leftOut: [],
      works: [],
      warmed: [],
      targets: [],
      ...compared,
      limits,
      surveys,
      failures: [...(compared?.failures ?? []), ...failures, ...unmade],
    };
    print(renderReport(report));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, plain, 2)}\n`);
    return report.failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    process.stderr.write('interrupted\n');
    return 130;
  }
}

async function main(): Promise<number> {
  // Daemons stand where ordinary users do not look.
  process.env.PATH = [process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(delimiter);
  try {
    const options = parseArguments(process.argv.slice(2));
    const measured = chosen<Work | Limit | Survey>(
      'work, bound or survey',
      [...allWorks, ...allLimits, ...allSurveys],
      options.only,
    );
    // The bounds in absolute terms take minutes, and have nothing to do with peers.
    const worksAlone = options.only === undefined && (options.quick || options.peers !== undefined);
    const plan: Plan = {
      works: allWorks.filter((work) => measured.includes(work)),
      limits: worksAlone ? [] : allLimits.filter((limit) => measured.includes(limit)),
      surveys: worksAlone ? [] : allSurveys.filter((survey) => measured.includes(survey)),
      peers: chosen('peer', allPeers(options), options.peers),
    };
    if (options.help) print(USAGE);
    if (options.list) print(list(plan));
    return options.help || options.list ? 0 : await bench(options, plan);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
