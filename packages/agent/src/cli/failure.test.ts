import { PassThrough } from 'node:stream';
import { errorStatus } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';
import { failureOf, tellFailure, toldAs } from './failure.ts';

const { weft, weftWith, file, serve, noToken } = commandLine();
const { signal } = new AbortController();

function told(error: unknown, env = {}): { readonly code: number; readonly err: string } {
  let err = '';
  const write = (text: string) => {
    err += text;
  };
  const bytes = () => ({ input: new PassThrough(), output: new PassThrough() });
  const terminal = { out: write, err: write, outColors: false, errColors: false, env, now: () => NOW, bytes };
  const failure = failureOf(error, env, signal);
  tellFailure(failure, toldAs([]), terminal);
  return { code: failure.code, err };
}

function systemError(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: of the system, ${syscall} '${path}'`), { code, syscall, path });
}

describe('a failure', () => {
  test.each([
    ['EACCES', 'mkdir', '/srv/weft', 'cannot mkdir /srv/weft: this user may not (EACCES)'],
    ['ENOSPC', 'write', '/srv/x', 'cannot write /srv/x: the disk is full (ENOSPC)'],
    ['ENOENT', 'open', '/home/gone', 'cannot open /home/gone: there is no such file or directory (ENOENT)'],
    ['ELOOP', 'open', '/a', "ELOOP: of the system, open '/a'"],
  ])('of the system, %s, is one sentence', (code, syscall, path, words) => {
    expect(told(systemError(code, syscall, path))).toEqual({ code: 1, err: `weft: ${words}\n` });
  });

  test('that nobody foresaw shows its stack to who asks for it alone', () => {
    const fault = new TypeError('x is undefined');
    expect(told(fault)).toEqual({
      code: 1,
      err: 'weft: x is undefined; this is a fault of weft: WEFT_LOG_LEVEL=debug shows where\n',
    });
    expect(told(fault, { WEFT_LOG_LEVEL: 'debug' }).err).toContain('failure.test.ts');
  });
});

describe('with --json, an error is one line of JSON on stderr', () => {
  async function failed(...args: readonly string[]) {
    const { code, out, err } = await weft(...args, '--json');
    expect(out).toBe('');
    expect(err).toMatch(/^\{.*\}\n$/);
    return { code, ...(JSON.parse(err) as object) };
  }

  test('of wrong usage', async () => {
    expect(await failed('status', '--nonsense')).toEqual({
      code: 2,
      version: 1,
      error: { code: 'usage', message: "unknown option '--nonsense'" },
    });
    expect(await failed('explain', 'WEB', 'redis:1')).toMatchObject({ code: 2, error: { code: 'usage' } });
  });

  test('of a wrong file, with each place', async () => {
    const path = await file('wrong.yaml', 'network: prod\nservices: { a: { kind: wep } }\n');
    expect(await failed('apply', '-f', path)).toMatchObject({
      code: 2,
      error: { code: 'file-invalid', problems: [{ line: 2, column: 24 }] },
    });
  });

  test('of what control refuses, and of control that is not there', async () => {
    await serve({ revokeAgent: (_call, answer) => answer({ code: 5, details: 'there is no agent b' }) });
    expect(await failed('revoke', 'b')).toMatchObject({ code: 1, error: { code: 'control-refused' } });
    await noToken();
    expect(await failed('agents')).toMatchObject({ code: 1, error: { code: 'admin-token' } });
  });

  test('of what control finds wrong in several fields, with each', async () => {
    const fields = [
      { field: 'services[0]', message: 'expected a name' },
      { field: 'ttl', message: 'expected more' },
    ];
    await serve({ createToken: (_call, answer) => answer(errorStatus(3, '', { reason: 'invalid', fields })) });
    expect(await failed('token', 'create', '--network', 'prod')).toEqual({
      code: 1,
      version: 1,
      error: { code: 'control-refused', message: expect.stringContaining('ttl: expected more'), fields },
    });
    const { err } = await weft('token', 'create', '--network', 'prod');
    expect(err).toMatch(
      /^weft: control at \S+ refused:\n {2}services\[0\]: expected a name\n {2}ttl: expected more\n$/,
    );
  });

  test('and how many more there were, where they are too many', async () => {
    const fields = Array.from({ length: 1_000 }, (_, index) => ({
      field: `services[${index}]`,
      message: 'expected a name',
    }));
    await serve({ createToken: (_call, answer) => answer(errorStatus(3, '', { reason: 'invalid', fields })) });
    const { err } = await weft('token', 'create', '--network', 'prod');
    const told = err.trimEnd().split('\n');
    expect(told.at(-1)).toBe(`  and ${1_000 - (told.length - 2)} more`);
  });

  test('of an interruption', async () => {
    await serve({});
    const { code, err } = await weftWith({ signal: AbortSignal.abort() }, 'agents', '--json');
    expect({ code, err: JSON.parse(err) }).toEqual({
      code: 130,
      err: { version: 1, error: { code: 'interrupted', message: 'interrupted' } },
    });
  });
});
