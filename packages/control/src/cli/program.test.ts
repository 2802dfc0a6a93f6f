import { resolve } from 'node:path';
import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import type { ServeOptions } from '../serve.ts';
import { buildProgram } from './program.ts';

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
