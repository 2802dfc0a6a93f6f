import { execFileSync } from 'node:child_process';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { FakeNetmapSource, sampleNetmap } from '../netmap/sample.fixture.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { Caller } from '../owner/programs.fixture.ts';
import { PROGRAM } from '../words/program.ts';
import type { ExposedTarget } from './exposure.ts';
import { type Listener, ListenerTable } from './listener-table.ts';
import { ProgramsWatch } from './programs-watch.ts';

const PYTHON = execFileSync('/usr/bin/readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim();

test('once its program was replaced it tells of what it found for as long as that listens, and of nobody who comes in its place', async () => {
  const mailer = new Caller();
  const life = new AbortController();
  onTestFinished(async () => {
    life.abort();
    await mailer.end();
  });
  const listens = async (name: string): Promise<Listener> => {
    const port = Number(await mailer.ask(`take ${name} tcp 0.0.0.0 0`));
    return { protocol: 'tcp', address: '0.0.0.0', port };
  };
  const [first, second] = [await listens('a'), await listens('b')];
  let listening: readonly Listener[] = [first, second];
  let program = PROGRAM;
  let told: readonly ExposedTarget[] | undefined;
  const problems = new ProblemBoard({ warn: () => {}, info: () => {} });
  const netmap = sampleNetmap();
  const self = netmap.self && { ...netmap.self, services: ['mailer'] };
  const watch = new ProgramsWatch({
    netmap: new FakeNetmapSource({ ...netmap, self }),
    services: new Map([['mailer', { name: 'mailer', match: { command: PYTHON }, targets: [] }]]),
    table: () => new ListenerTable(listening),
    found: (programs) => {
      told = programs;
    },
    problems,
    log: pino({ level: 'silent' }),
    signal: life.signal,
    get program() {
      return program;
    },
    times: { look: 5, least: 0 },
  });
  const ports = () => told?.map(({ port }) => port).sort();
  const are = (...those: readonly Listener[]) => expect.poll(ports).toEqual(those.map(({ port }) => port).sort());
  watch.start();
  await are(first, second);
  const third = await listens('c');
  program = 'of yesterday';
  listening = [first, second, third];
  await expect
    .poll(() => problems.current)
    .toEqual([
      { code: 'no-look', subject: 'program', message: expect.stringMatching(/restart the agent; those .* were found/) },
    ]);
  await are(first, second);
  listening = [second, third];
  await are(second);
  listening = [first, third];
  await are();
});
