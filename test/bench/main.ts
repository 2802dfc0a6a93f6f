/** Weft beside its peers: see `--help`. Exit codes: 0 measured, 1 something could not be, 2 wrong usage, 130 interrupted. */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { delimiter } from 'node:path';
import type { Lab } from '../harness/host.ts';
import { type Arguments, chosen, parseArguments, USAGE, UsageError } from './arguments.ts';
import { allPeers } from './peers/index.ts';
import { renderReport } from './report.ts';
import { failuresOf, targetFigures, workFigures } from './result.ts';
import { runnable, runRounds, startPeers, stopPath } from './run.ts';
import { Stage } from './stage.ts';
import { targets } from './targets.ts';
import type { Peer, Work } from './types.ts';
import { allWorks } from './works/index.ts';

const print = (text: string): void => void process.stdout.write(text);
/** Progress goes beside the table, and only where someone watches. */
const tell = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}`));

function list(works: readonly Work[], peers: readonly Peer[]): string {
  return [
    ...works.map(({ name, title, unit }) => `work    ${name.padEnd(13)} ${title}, ${unit}`),
    ...peers.map(({ name }) => `peer    ${name}`),
    ...targets.map(({ work, peer, figure, bound, ratio }) => {
      return `target  ${work.padEnd(13)} ${figure === 'cpu' ? 'CPU ' : ''}${bound} ${ratio}x ${peer}`;
    }),
    '',
  ].join('\n');
}

async function bench(options: Arguments, works: readonly Work[], peers: readonly Peer[]): Promise<number> {
  const interrupted = new AbortController();
  const labs: Lab[] = [];
  // What is being waited for fails when its processes are gone, and then the abort is found. A lab whose folder is still being
  // written to may not go at once; it is ended again below, and there its error counts.
  const interrupt = (): void => {
    interrupted.abort();
    for (const lab of labs) Promise.resolve(lab[Symbol.asyncDispose]()).catch(() => undefined);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // A lab is ended also where its stage was never finished.
  await using ending = new AsyncDisposableStack();
  try {
    const stage = await Stage.create(options.loopback, (lab) => {
      labs.push(lab);
      ending.use(lab);
    });
    ending.use(stage.leftovers);
    const { works: kept, leftOut: withoutProgram } = runnable(stage, works);
    const { paths, leftOut, failures } = await startPeers(stage, peers, interrupted.signal, tell);
    ending.defer(async () => {
      await Promise.all([...paths.values()].map(stopPath));
    });
    const plan = { works: kept, paths, rounds: options.rounds, length: options.length };
    const figures = workFigures(await runRounds(stage, plan, interrupted.signal, tell));
    tell('');
    const report = {
      quick: options.quick,
      rounds: options.rounds,
      stage: stage.loopback === undefined ? 'two hosts made of network namespaces' : `loopback (${stage.loopback})`,
      machine: { cores: availableParallelism(), model: cpus()[0]?.model ?? 'unknown', node: process.version },
      workers: options.workers,
      leftOut: [...leftOut, ...withoutProgram],
      works: figures,
      targets: targetFigures(figures, targets),
      failures: [...failures, ...failuresOf(figures)],
    };
    print(renderReport(report));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
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
    const works = chosen('work', allWorks, options.only);
    const peers = chosen('peer', allPeers({ workers: options.workers }), options.peers);
    if (options.help) print(USAGE);
    if (options.list) print(list(works, peers));
    return options.help || options.list ? 0 : await bench(options, works, peers);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
