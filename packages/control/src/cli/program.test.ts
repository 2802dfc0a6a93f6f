import { resolve } from 'node:path';
import * as topics from '@weft/proto/topics';
import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import type { ServeOptions } from '../serve.ts';
import { addHelp, buildProgram } from './program.ts';

async function parse(...words: string[]): Promise<ServeOptions | string> {
  let asked: ServeOptions | undefined;
  const serve = async (options: ServeOptions) => {
    asked = options;
  };
  const program = buildProgram({ serve, backup: () => undefined, restore: () => undefined });
  const silent = { writeOut: () => undefined, writeErr: () => undefined };
  for (const command of [program, ...program.commands]) command.configureOutput(silent);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return `${error.code} ${error.exitCode}`;
    throw error;
  }
  return asked ?? 'nothing';
}

test('help knows the topics that are its own too, and names them where there is none of the name', async () => {
  const help = async (...words: string[]) => {
    const said = { out: '', err: '' };
    const out = (text: string) => {
      said.out += text;
    };
    const err = (text: string) => {
      said.err += text;
    };
    const program = buildProgram({ serve: async () => undefined, backup: () => undefined, restore: () => undefined });
    addHelp(program, topics, out);
    for (const command of [program, ...program.commands]) command.configureOutput({ writeOut: out, writeErr: err });
    await program.parseAsync(['help', ...words], { from: 'user' }).catch((error) => {
      if (!(error instanceof CommanderError)) throw error;
    });
    return said;
  };
  expect((await help()).out).toMatch(/Topics \(weft-control help TOPIC\):\n {2}exit-codes /);
  expect((await help('files')).out).toContain('`control.key`');
  expect((await help('backup')).out).toContain('Usage: weft-control backup');
  expect(await help('policy')).toEqual({
    out: '',
    err: expect.stringContaining('there is no command and no topic "policy"; topics: exit-codes, environment, files'),
  });
});

describe('serve', () => {
  test('listens where PRODUCT says when nothing is said', async () => {
    expect(await parse('serve', '--data', 'd')).toEqual({
      directory: resolve('d'),
      listen: { host: '127.0.0.1', port: 7400 },
      dashboard: { host: '127.0.0.1', port: 7480 },
      advertise: [],
      metrics: undefined,
      flowHours: 24,
      flowDisk: 1_024,
      acceptOlderData: false,
      logLevel: 'info',
    });
  });

  test('takes what is said', async () => {
    const words = [
      '--data',
      '/d',
      '--listen',
      '[::]:0',
      '--dashboard',
      'off',
      '--advertise',
      'a:1',
      '--advertise',
      'b:2',
    ];
    expect(await parse('serve', ...words)).toMatchObject({
      listen: { host: '::', port: 0 },
      dashboard: undefined,
      advertise: ['a:1', 'b:2'],
    });
  });

  test.each([
    [['serve', '--listen', '7400']],
    [['serve', '--dashboard', 'http://x']],
    [['serve', '--flow-hours', '0']],
    [['serve', '--flow-hours', '1.5']],
    [['serve', '--flow-disk', '15']],
    [['serve', '--flow-disk', '1g']],
    [['serve', '--advertise', 'a:0']],
    [['serve', '--metrics', '9100']],
    [['serve', '--log-level', 'loud']],
    [['serve', 'more']],
    [['serv']],
  ])('refuses %j', async (words) => {
    expect(await parse(...words)).toMatch(/^commander\..* 1$/);
  });
});
