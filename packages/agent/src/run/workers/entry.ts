/** A worker thread: a data path of its own, led by the main thread. An error that nobody foresaw ends it, and where it listens the agent. */
import { isDeepStrictEqual } from 'node:util';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { fullMessageOf, VERSION } from '@weft/proto';
import { keepHouse } from '@weft/proto/house';
import { openTracing } from '@weft/proto/observe';
import { fullCollector } from '../../bytes/inside/collector.ts';
import { FlowRecorder } from '../../flows/recorder.ts';
import { createLogger } from '../../observe/logger.ts';
import { ProblemBoard } from '../../observe/problems.ts';
import { requireProgram } from '../../words/program.ts';
import { HandOver } from './hand-over.ts';
import { MainOwners } from './main-owners.ts';
import type { FromWorker, ToWorker, Update, WorkerNumbers, WorkerStart } from './messages.ts';
import { openWorkerPath, type WorkerPath } from './worker-path.ts';

/** How often the main thread is told of numbers that changed. */
const TELL_MS = 250;
/** The main thread logs problems, for all threads once. */
const NOT_HERE = { warn: () => {}, info: () => {} };

async function runWorker(start: WorkerStart, main: MessagePort): Promise<void> {
  // Before anything else of what it was given is read: another program may mean another thing by it.
  requireProgram(start.program);
  const tell = (message: FromWorker) => main.postMessage(message);
  const log = createLogger({ WEFT_LOG_LEVEL: start.logLevel }).child({ worker: start.thread });
  const recorder = new FlowRecorder({ recent: 1 });
  const problems = new ProblemBoard(NOT_HERE, () => tell({ type: 'problems', problems: problems.current }));
  const handOver = new HandOver(recorder, (batch) => tell({ type: 'flows', batch }));
  // Each thread sends its own spans; the environment of the process is every thread's.
  const tracing = await openTracing({ service: 'weft-agent', version: VERSION, logger: log });
  const owners = new MainOwners((serial, caller) => tell({ type: 'find', serial, caller }));
  const path = await openWorkerPath(start, owners, recorder, problems, log, tracing);
  const numbers = followNumbers(path, recorder, (told, serial) => tell({ type: 'numbers', numbers: told, serial }));
  // All of it: the main thread has one table for all threads, and its own bound.
  const pulse = (serial: number | undefined) => {
    const { pairs } = path.traffic.take(Number.POSITIVE_INFINITY);
    tell({ type: 'pulse', pulse: path.watch.pulse(), pairs, serial });
  };
  const life = new AbortController();
  const stop = async (reason: string) => {
    life.abort();
    path.close(reason);
    await handOver.finish();
    numbers.end();
    numbers.tell(undefined);
    pulse(undefined);
    if (start.metrics) tell({ type: 'measures', measures: path.watch.measures(), serial: undefined });
    tell({ type: 'over' });
    // Last: a collector that is away may use up the time that a stop is given.
    await tracing?.close();
    tell({ type: 'stopped' });
  };
  main.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'update':
        enforce(path, message.serial, message.update, tell);
        return;
      case 'count':
        numbers.tell(message.serial);
        return;
      case 'pulse':
        pulse(message.serial);
        return;
      case 'measure':
        tell({ type: 'measures', measures: path.watch.measures(), serial: message.serial });
        return;
      case 'open-flows':
        tell({ type: 'open-flows', open: path.registry.openFlows(message.asked), serial: message.serial });
        return;
      case 'flows-taken':
        handOver.taken();
        return;
      case 'leave':
        path.registry.leave(message.leaving);
        return;
      case 'owner':
        owners.found(message.serial, message.owner, message.naming);
        return;
      case 'named':
        owners.named(message.serial, message.process);
        return;
      case 'leave-tunnels':
        path.tunnels.leave(message.forGood);
        return;
      case 'stop':
        void stop(message.reason);
    }
  });
  keepHouse(life.signal, { alone: () => false, collect: fullCollector(), memory: undefined });
  tell({ type: 'ready' });
}

function enforce(path: WorkerPath, serial: number, update: Update, tell: (message: FromWorker) => void): void {
  let failure: string | undefined;
  try {
    path.update(update);
  } catch (error) {
    // All that an operator can send is what the main thread tells of it.
    failure = fullMessageOf(error);
  }
  tell({ type: 'enforced', serial, failure });
  void path.settled().then(() => tell({ type: 'bound', serial }));
}

function followNumbers(
  path: WorkerPath,
  recorder: FlowRecorder,
  tell: (numbers: WorkerNumbers, serial: number | undefined) => void,
) {
  let told: WorkerNumbers | undefined;
  const { registry, tunnels } = path;
  const count = () => ({
    flows: registry.live,
    recorded: recorder.counters.recorded,
    bulk: path.bulk,
    tunnel: { ...tunnels.counters },
  });
  const tellNow = (serial: number | undefined) => {
    told = count();
    tell(
      serial === undefined ? told : { ...told, peers: tunnels.peerTraffic(), unreached: tunnels.unreached() },
      serial,
    );
  };
  const timer = setInterval(() => {
    if (!isDeepStrictEqual(count(), told)) tellNow(undefined);
  }, TELL_MS);
  return { tell: tellNow, end: () => clearInterval(timer) };
}

if (parentPort !== null) await runWorker(workerData as WorkerStart, parentPort);
