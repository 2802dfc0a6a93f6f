import { PassThrough } from 'node:stream';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Command } from 'commander';
import { beforeEach, describe, expect, test } from 'vitest';
import { commandLine, NOW } from '../command-line.fixture.ts';
import { localAgents } from '../local-agent.fixture.ts';
import { build } from '../program.ts';
import { checkAnswer } from './answer.fixture.ts';
import { everyAnswer, LOCAL, MESH } from './every-answer.fixture.ts';
import { ANSWERING, type Answering, answerSchema } from './index.ts';

const { directory, weft, weftWith, file, serve } = commandLine();
const localAgent = localAgents(directory);

beforeEach(() => serve(everyAnswer()));

/** What follows the words of each command, where it needs more. */
const MORE: Partial<Record<Answering, readonly string[]>> = {
  'token replace': ['tk1'],
  'token revoke': ['tk1'],
  apply: ['-f', 'MESH', '--yes'],
  diff: ['-f', 'MESH'],
  rollback: ['3', '--yes'],
  'network remove': ['prod', '--yes', 'prod'],
  lint: ['MESH'],
  status: ['--data', 'AGENT'],
  check: ['--data', 'AGENT'],
  reload: ['--data', 'AGENT'],
  ping: ['build-9', '--count', '1', '--data', 'AGENT'],
  forward: ['0:redis:6379', '--data', 'AGENT'],
  env: ['--data', 'AGENT'],
  explain: ['web', 'redis:6379'],
  'agents rename': ['build-3', 'data-1'],
  grant: ['build-3', '--services', 'redis'],
  revoke: ['build-3'],
};
/** A schema may know more forms than one, each of which is to be seen. */
const AGAIN: readonly (readonly [Answering, ...string[]])[] = [['flows', '--open']];

function commandsWith(option: string): string[] {
  const bytes = () => ({ input: new PassThrough(), output: new PassThrough() });
  const terminal = { out: () => {}, err: () => {}, outColors: false, errColors: false, env: {}, now: () => NOW, bytes };
  const from = (command: Command, words: readonly string[]): string[] => [
    ...(command.options.some(({ long }) => long === option) ? [words.join(' ')] : []),
    ...command.commands.flatMap((child) => from(child, [...words, child.name()])),
  ];
  return from(
    build(terminal, new AbortController().signal, false, () => {}),
    [],
  );
}

describe('with --json', () => {
  test('each command that takes it has a schema in cli/schemas, and there is none for another', () => {
    expect(new Set([...commandsWith('--json'), 'error'])).toEqual(new Set(ANSWERING));
  });

  test.each([...commandsWith('--json').map((words): readonly string[] => [words]), ...AGAIN])(
    '%s answers as its schema says, with its version',
    async (words, ...others) => {
      const command = words as Answering;
      const said = { out: '', err: '' };
      const stop = new AbortController();
      const places: Record<string, string> = {
        MESH: await file('mesh.yaml', MESH),
        AGENT: await localAgent({}, LOCAL),
      };
      const more = [...(MORE[command] ?? []), ...others].map((word) => places[word] ?? word);
      const ended = weftWith({ signal: stop.signal, said }, ...command.split(' '), ...more, '--json');
      if (command === 'forward') {
        await expect.poll(() => said.out).not.toBe('');
        stop.abort();
      }
      expect(await ended).toMatchObject({ code: expect.toBeOneOf([0, 3, 4]) });
      // The fixture holds it against the schema, too, for every test of a command; here it is to have been something.
      checkAnswer(command, said.out);
      expect(JSON.parse(said.out)).toMatchObject({ version: 1 });
    },
  );

  test('an error is as its schema says', async () => {
    const { code, err } = await weft('explain', 'WEB', 'redis:1', '--json');
    expect(code).toBe(2);
    checkAnswer('error', err);
  });
});

const LONG = 'a-host-of-a-long-name-such-as-clouds-give-them.example.com';

test.each([...commandsWith('--wide').map((words): readonly string[] => [words]), ['flows', '--open']])(
  'weft %s is no wider than 80 columns, unless --wide is given',
  async (words, ...others) => {
    await serve(everyAnswer(LONG));
    const more = words === 'status' ? ['--data', await localAgent()] : [];
    const widest = async (...options: readonly string[]) => {
      const { code, out } = await weftWith({ columns: 80 }, ...words.split(' '), ...more, ...others, ...options);
      // The agent has a problem.
      expect(code).toBe(words === 'status' ? 4 : 0);
      return Math.max(...tables(out).map((line) => [...line].length));
    };
    expect(await widest()).toBeLessThanOrEqual(80);
    expect(await widest('--wide')).toBeGreaterThan(80);
  },
);

/** The lines of an output that are of a table: such a head, and what follows up to an empty line. */
function tables(out: string): string[] {
  return out.split('\n\n').flatMap((part) => {
    const lines = part.split('\n');
    const head = lines.findIndex((line) => /^[A-Z]+(?: [A-Z]+)* {2}/.test(line));
    return head === -1 ? [] : lines.slice(head);
  });
}

test('weft schema prints each, as JSON Schema 2020-12 that takes fields of a later version', async () => {
  for (const command of ANSWERING) {
    const { code, out } = await weft('schema', ...command.split(' '));
    expect({ code, schema: JSON.parse(out) }).toEqual({ code: 0, schema: answerSchema(command) });
    expect(answerSchema(command)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
  }
  const { out } = await weft('token', 'list', '--json');
  const validate = new Ajv2020().compile(answerSchema('token list'));
  expect(validate({ ...(JSON.parse(out) as object), later: 1 })).toBe(true);
  expect(validate({ version: 2, tokens: [] })).toBe(false);
  expect(() => checkAnswer('token list', '{"version": 1, "tokens": [], "later": 1}')).toThrow('additional properties');
});
