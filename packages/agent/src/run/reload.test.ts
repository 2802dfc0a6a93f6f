import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type AgentFile, parseAgentFile } from '../config/agent-file.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { FileInForce } from './file-in-force.ts';
import { FileReload, type Reloadable } from './reload.ts';

const parsed = (zone: string) => parseAgentFile('weft.yaml', `zone: ${zone}`);

/** Of an agent whose file says so. */
function setUp(source: 'file' | 'stdin' = 'file') {
  const lines: string[] = [];
  const logger = pino({}, { write: (line) => lines.push(line) });
  const problems = new ProblemBoard(logger);
  const file = new FileInForce(parsed('old'));
  const written = { zone: 'old' };
  const read = async () => parsed(written.zone);
  const reload = new FileReload({
    file,
    source: source === 'file' ? { name: 'weft.yaml', read } : undefined,
    check: () => {},
    overridden: {},
    logger,
  });
  const enforced: (string | undefined)[] = [];
  const parts: Reloadable = {
    problems,
    enforce: async ({ zone }: AgentFile) => {
      if (zone === 'stuck') throw new Error('a worker is stuck');
      enforced.push(zone);
    },
  };
  const codes = () => problems.current.map(({ code }) => code);
  return { reload, parts, problems, written, enforced, codes, lines };
}

test('what could not be enforced stands as a problem, and is enforced by the next one, changed or not', async () => {
  const { reload, parts, written, enforced, codes } = setUp();
  let works: boolean = false;
  reload.serve({
    ...parts,
    enforce: async (now) => {
      if (!works) throw new Error('a worker is stuck');
      await parts.enforce(now);
    },
  });
  written.zone = 'new';
  await expect(reload.ask()).rejects.toThrow('a worker is stuck');
  expect(codes()).toEqual(['file-not-enforced']);
  await expect(reload.ask()).rejects.toThrow('a worker is stuck');
  works = true;
  expect(await reload.ask()).toMatchObject({ changes: [{ key: 'zone', before: 'old', after: 'new' }] });
  expect([enforced, codes()]).toEqual([['new'], []]);
  expect((await reload.ask()).changes).toEqual([]);
  expect(enforced).toEqual(['new']);
});

test('back to the file that was enforced last, after one that was not, that is enforced again', async () => {
  const { reload, parts, written, enforced, codes } = setUp();
  reload.serve(parts);
  written.zone = 'stuck';
  await expect(reload.ask()).rejects.toThrow('a worker is stuck');
  written.zone = 'old';
  expect((await reload.ask()).changes).toEqual([]);
  expect([enforced, codes()]).toEqual([['old'], []]);
});

test('between two memberships it waits for the next one, which takes up the file', async () => {
  const { reload, parts, written, enforced } = setUp();
  reload.serve({ ...parts, enforce: () => Promise.reject(new Error('it is over')) });
  reload.end();
  written.zone = 'new';
  const asked = reload.ask();
  reload.serve(parts);
  expect((await asked).changes).toHaveLength(1);
  expect(enforced).toEqual(['new']);
});

test('problems that came with it are in the answer, and of those before the ones by which the file has less effect', async () => {
  const { reload, parts, problems, written } = setUp();
  problems.raise({ code: 'no-upstream', subject: 'agent', message: 'before' });
  const taken = { code: 'gateway-listen', subject: '127.0.0.1:80', message: 'taken' };
  reload.serve({ ...parts, enforce: async () => problems.raise(taken) });
  written.zone = 'new';
  expect((await reload.ask()).problems).toEqual([taken]);
  // What only tells that nobody enforces it yet is told once.
  problems.raise({ code: 'match-not-enforced', subject: 'mailer', message: 'not enforced' });
  expect(await reload.ask()).toMatchObject({ changes: [], problems: [taken] });
  problems.clear(taken.code, taken.subject);
  expect((await reload.ask()).problems).toEqual([]);
});

test('an agent without a file says so in the log too: a signal has no other answer', async () => {
  const { reload, parts, lines } = setUp('stdin');
  reload.serve(parts);
  await expect(reload.ask()).rejects.toThrow('no agent file to read again');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { event: 'not-reloaded', file: '', reason: expect.stringContaining('--config') },
  ]);
});
