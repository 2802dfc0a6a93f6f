import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { writeJson, writeJsonLine } from './json.ts';
import { paint, paintErr, printable, processTerminal } from './terminal.ts';

/** A process whose streams are terminals or not, and what is written to each. */
function made(out: boolean, err: boolean, env: Record<string, string> = {}) {
  const written = { out: '', err: '' };
  const stream = (name: 'out' | 'err', isTTY: boolean) => ({
    ...(isTTY ? { isTTY } : {}),
    write: (text: string) => {
      written[name] += text;
    },
  });
  const stdin = Object.assign(new PassThrough(), { isTTY: out });
  const terminal = processTerminal({ stdin, stdout: stream('out', out), stderr: stream('err', err), env });
  return { terminal, written, stdin };
}

describe("a process's terminal", () => {
  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('with stdout a terminal: %j, and stderr: %j, colours each for itself', (out, err) => {
    const { terminal, written } = made(out, err);
    terminal.out(paint(terminal, 'green', 'allow'));
    terminal.err(paintErr(terminal, 'red', 'weft'));
    expect(written).toEqual({
      out: out ? '\u001b[32mallow\u001b[39m' : 'allow',
      err: err ? '\u001b[31mweft\u001b[39m' : 'weft',
    });
  });

  test.each([[{ NO_COLOR: '1' }], [{ TERM: 'dumb' }]])('%j takes the colours of both away', (env) => {
    const { terminal } = made(true, true, env);
    expect(terminal).toMatchObject({ outColors: false, errColors: false });
  });

  test('an empty NO_COLOR is none', () => {
    expect(made(true, true, { NO_COLOR: '' }).terminal).toMatchObject({ outColors: true, errColors: true });
  });
});

test.each([
  [{ columns: 120, isTTY: true }, { COLUMNS: '60' }, 120],
  [{ isTTY: true }, { COLUMNS: '200' }, 200],
  [{ isTTY: true }, {}, 80],
  [{ isTTY: true }, { COLUMNS: '-1' }, 80],
  // Of a pipe: whoever reads it wants all.
  [{}, { COLUMNS: '60' }, 60],
  [{}, { COLUMNS: 'wide' }, undefined],
  [{}, { COLUMNS: '' }, undefined],
  [{}, {}, undefined],
])('of stdout %j and environment %j lines have %s characters', (own, env, columns) => {
  const stream = { write: () => {} };
  const terminal = processTerminal({ stdin: new PassThrough(), stdout: { ...stream, ...own }, stderr: stream, env });
  expect(terminal.columns).toBe(columns);
});

describe('a question', () => {
  const { signal } = new AbortController();

  test('is put on stderr, and answered by a line', async () => {
    const { terminal, written, stdin } = made(true, true);
    stdin.write('yes\nmore\n');
    expect(await terminal.ask?.('sure? ', signal)).toBe('yes');
    expect(written).toEqual({ out: '', err: 'sure? ' });
  });

  test('that the input ends on is answered by nothing', async () => {
    const { terminal, stdin } = made(true, true);
    stdin.end();
    expect(await terminal.ask?.('sure? ', signal)).toBe('');
  });

  test('ends with the signal', async () => {
    const { terminal } = made(true, true);
    const stop = new AbortController();
    const asked = terminal.ask?.('sure? ', stop.signal);
    stop.abort();
    await expect(asked).rejects.toThrow('aborted');
  });

  test('is put to nobody where there is no terminal', () => {
    expect(made(false, true).terminal.ask).toBeUndefined();
    expect(made(true, false).terminal.ask).toBeUndefined();
  });
});

test('text from the network cannot move the cursor or turn the writing', () => {
  expect(printable('a\u001b[2J\u202eb')).toBe('a\ufffd[2J\ufffdb');
});

test('answers for programs hold no character that steers a terminal, and mean the same', () => {
  const { terminal, written } = made(true, true);
  const value = { network: 'a\u202eb', revision: 1, hosts: ['\u009b2J\u001b[31m', 'x'] };
  writeJson(terminal, 'network remove', value);
  writeJsonLine(terminal, 'network remove', value);
  expect(written.out).not.toMatch(/[^\P{C}\n]/u);
  expect(JSON.parse(written.out.split('\n').at(-2) ?? '')).toEqual({ version: 1, ...value });
});
