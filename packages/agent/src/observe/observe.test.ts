import { once } from 'node:events';
import { link, mkdtemp, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CodedError, type FlowRecord } from '@weft/proto';
import { lockDirectory } from '@weft/proto/files';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { FileError } from '../config/errors.ts';
import { FlowRecorder, Ring } from '../flows/recorder.ts';
import { createLogger } from './logger.ts';
import { ProblemBoard } from './problems.ts';
import { askAgent, readLocalStatus } from './status-client.ts';
import { serveStatus } from './status-socket.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function flow(id: number): FlowRecord {
  return { id: String(id) } as FlowRecord;
}

function ids(records: readonly FlowRecord[]): readonly number[] {
  return records.map(({ id }) => Number(id));
}

describe('a ring', () => {
  it('is the tail of an unbounded queue', () => {
    const steps = fc.array(
      fc.oneof(
        fc.integer().map((value) => ({ push: value })),
        fc.integer({ min: 0, max: 5 }).map((count) => ({ take: count })),
        fc.array(fc.integer(), { maxLength: 5 }).map((back) => ({ back })),
      ),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), steps, (capacity, all) => {
        const ring = new Ring<number>(capacity);
        let model: number[] = [];
        for (const step of all) {
          if ('push' in step) {
            expect(ring.push(step.push)).toBe(model.length === capacity);
            model = [...model, step.push].slice(-capacity);
          } else if ('take' in step) {
            expect(ring.take(step.take)).toEqual(model.splice(0, step.take));
          } else {
            const room = Math.min(capacity - model.length, step.back.length);
            expect(ring.putBack(step.back)).toBe(room);
            model = [...step.back.slice(step.back.length - room), ...model];
          }
          expect(ring.toArray()).toEqual(model);
        }
      }),
    );
  });
});

describe('the flow recorder', () => {
  const { signal } = new AbortController();

  it('hands records on in batches, oldest first', async () => {
    const recorder = new FlowRecorder({ batch: 2 });
    for (const id of [1, 2, 3]) recorder.record(flow(id));
    expect(ids((await recorder.nextBatch(signal)).records)).toEqual([1, 2]);
    expect(ids((await recorder.nextBatch(signal)).records)).toEqual([3]);
  });

  it('tells flows of before by the name that its host has now, as control takes no other', async () => {
    const recorder = new FlowRecorder();
    const from = (id: number, host: string) => ({ ...flow(id), source: `host:${host}`, sourceHost: host });
    recorder.record(from(1, 'old'));
    const batch = await recorder.nextBatch(signal);
    recorder.renamed('old', 'new');
    recorder.restore(batch);
    recorder.record(from(2, 'other'));
    recorder.renamed('new', 'newest');
    recorder.record(from(3, 'newest'));
    const { records } = await recorder.nextBatch(signal);
    expect(records.map(({ source, sourceHost }) => `${source} ${sourceHost}`)).toEqual([
      'host:newest newest',
      'host:other other',
      'host:newest newest',
    ]);
  });

  it('writes down where its host stands, on what other threads recorded as well', async () => {
    const recorder = new FlowRecorder({ zone: 'eu-west-1a' });
    recorder.record(flow(1));
    recorder.adopt({ records: [flow(2)], dropped: 0 });
    const { records } = await recorder.nextBatch(signal);
    expect(records.map(({ zone }) => zone)).toEqual(['eu-west-1a', 'eu-west-1a']);
  });

  it('waits for a record, and stops waiting when told', async () => {
    const recorder = new FlowRecorder();
    const waiting = recorder.nextBatch(signal);
    recorder.record(flow(1));
    expect(ids((await waiting).records)).toEqual([1]);
    const stop = new AbortController();
    const stopped = recorder.nextBatch(stop.signal);
    stop.abort(new Error('over'));
    await expect(stopped).rejects.toThrow('over');
    await expect(recorder.nextBatch(stop.signal)).rejects.toThrow('over');
  });

  it('drops the oldest over its bound, and tells how many with the next batch', async () => {
    let lost = 0;
    const recorder = new FlowRecorder({ queue: 3, recent: 2, lost: () => lost++ });
    for (let id = 1; id <= 5; id++) recorder.record(flow(id));
    expect(ids(recorder.recent())).toEqual([4, 5]);
    const batch = await recorder.nextBatch(signal);
    expect(ids(batch.records)).toEqual([3, 4, 5]);
    expect([batch.dropped, lost]).toEqual([2, 2]);
    expect(recorder.counters).toMatchObject({ untold: 0, queued: 0, unanswered: 3 });
    recorder.record(flow(6));
    recorder.restore(batch);
    expect(lost).toBe(3);
    expect(recorder.counters).toMatchObject({ untold: 3, queued: 3, unanswered: 0 });
    const again = await recorder.nextBatch(signal);
    expect(ids(again.records)).toEqual([4, 5, 6]);
    expect(again.dropped).toBe(3);
    recorder.taken(again);
    expect(recorder.counters).toEqual({ recorded: 6, dropped: 3, untold: 0, queued: 0, unanswered: 0 });
  });
});

describe('problems', () => {
  it('stand once each, are told when they change, and are bounded', () => {
    let changes = 0;
    const problems = new ProblemBoard(pino({ level: 'silent' }), () => changes++);
    problems.raise({ code: 'b', subject: 'x', message: 'one' });
    problems.raise({ code: 'b', subject: 'x', message: 'one' });
    problems.raise({ code: 'b', subject: 'x', message: 'two' });
    problems.raise({ code: 'a', subject: 'x', message: 'one' });
    expect(problems.current.map(({ code, message }) => `${code} ${message}`)).toEqual(['a one', 'b two']);
    expect(changes).toBe(3);
    problems.clear('b', 'x');
    problems.clear('b', 'x');
    expect(changes).toBe(4);
    for (let subject = 0; subject < 300; subject++)
      problems.raise({ code: 'c', subject: String(subject), message: '' });
    expect(problems.current).toHaveLength(256);
  });
});

describe('the status socket', () => {
  async function place(): Promise<string> {
    const directory = await mkdtemp(path.join(tmpdir(), 'weft-status-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    return path.join(directory, 'agent.sock');
  }

  async function read(file: string, question = ''): Promise<unknown> {
    let text = '';
    const socket = net.connect(file);
    socket.end(question);
    for await (const piece of socket) text += String(piece);
    return JSON.parse(text);
  }

  function lifetime(): AbortController {
    const controller = new AbortController();
    cleanups.push(() => controller.abort());
    return controller;
  }

  it('answers each connection with the state of that moment, for this user alone', async () => {
    const file = await place();
    let count = 0;
    await serveStatus(file, () => ({ count: ++count }), lifetime().signal);
    expect(await read(file)).toEqual({ count: 1 });
    expect(await read(file)).toEqual({ count: 2 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('takes over from a killed agent, and from one that stopped', async () => {
    const file = await place();
    // What a killed agent leaves: a socket's file that nobody accepts on.
    const killed = net.createServer().listen(`${file}.moved`);
    await once(killed, 'listening');
    await link(`${file}.moved`, file);
    killed.close();
    const life = lifetime();
    await serveStatus(file, () => ({ who: 'first' }), life.signal);
    expect(await read(file)).toEqual({ who: 'first' });
    life.abort();
    await serveStatus(file, () => ({ who: 'second' }), lifetime().signal);
    expect(await read(file)).toEqual({ who: 'second' });
  });

  it('that is not there is told from an agent that is not', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'weft-observe-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    expect(await readLocalStatus(directory)).toBeUndefined();
    const lock = lockDirectory(directory, 'agent', 'agent');
    await expect(readLocalStatus(directory)).rejects.toMatchObject({
      code: 'status-unreadable',
      message: expect.stringMatching(/it runs, .*may not write to its directory/),
    });
    lock.release();
    expect(await readLocalStatus(directory)).toBeUndefined();
  });

  it('says what went wrong with a question, and with which file', async () => {
    const file = await place();
    const directory = path.dirname(file);
    let wrong: Error = new CodedError('busy', 'not now');
    const answerer = () => {
      throw wrong;
    };
    await serveStatus(file, answerer, lifetime().signal);
    const asked = () => askAgent(directory, { ask: 'status' }, 1_000);
    await expect(asked()).rejects.toMatchObject({ code: 'busy', message: 'not now' });
    wrong = new FileError('file-invalid', 'weft.yaml', [{ line: 3, column: 5, message: 'expected a port' }]);
    await expect(asked()).rejects.toMatchObject({ message: 'weft.yaml:3:5: expected a port', file: 'weft.yaml' });
    expect(await read(file, '{"ask":"the way"}\n')).toMatchObject({ error: { code: 'question-unknown' } });
    await expect(read(file, 'x'.repeat(5_000))).rejects.toThrow();
  });

  it('that answers no object is none that can be asked', async () => {
    const file = await place();
    for (const answer of ['null', '"yes"', '3']) {
      await serveStatus(file, () => JSON.parse(answer) as object, lifetime().signal);
      await expect(askAgent(path.dirname(file), { ask: 'status' }, 1_000)).rejects.toMatchObject({
        code: 'status-unreadable',
        message: expect.stringContaining('its answer is no JSON object'),
      });
    }
  });

  it('is not waited for once the signal ends the asking', async () => {
    const file = await place();
    const stop = new AbortController();
    const asked = Promise.withResolvers<void>();
    await serveStatus(file, () => new Promise<object>(() => asked.resolve()), lifetime().signal);
    const answer = askAgent(path.dirname(file), { ask: 'status' }, 60_000, stop.signal);
    await asked.promise;
    stop.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });

  it('says why it cannot listen', async () => {
    await expect(serveStatus('/no/such/place/agent.sock', () => ({}), lifetime().signal)).rejects.toMatchObject({
      code: 'status-socket-failed',
    });
  });
});

it.each([
  [{}, 'info'],
  [{ WEFT_LOG_LEVEL: 'debug' }, 'debug'],
  [{ WEFT_LOG_LEVEL: 'silent' }, 'silent'],
  [{ WEFT_LOG_LEVEL: 'loud' }, 'info'],
])('the log level of %o is %s', (environment, level) => {
  expect(createLogger(environment).level).toBe(level);
});
