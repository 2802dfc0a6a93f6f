import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { encodeAdminToken, encodeJoinToken } from '@weft/proto';
import { describe, expect, test, vi } from 'vitest';
import { commandLine, SECRET } from './command-line.fixture.ts';
import { helpProgram } from './help-program.ts';
import { build } from './program.ts';
import { processTerminal } from './terminal.ts';

const { directory, weft, weftWith, file, serve, noToken } = commandLine();
const joinElsewhere = encodeJoinToken({
  addresses: ['203.0.113.7:7400'],
  pin: new Uint8Array(32),
  id: 't',
  secret: SECRET,
});

/** Of all commands, the words that lead to each; one that only stands before others has none of its own. */
function ownOf(program: ReturnType<typeof build>): readonly string[] {
  const visible = program.createHelp().visibleCommands(program);
  return program.commands
    .filter((command) => visible.includes(command))
    .flatMap((command) => {
      const below = ownOf(command).map((words) => `${command.name()} ${words}`);
      return below.length > 0 && command.options.length === 0 ? below : [command.name(), ...below];
    });
}

describe('usage', () => {
  test.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['non\u001b[31m\u009b\u202esense'], "unknown command 'non\\u001b[31m\\u009b\\u202esense'"],
    [['up', '--control', 'nowhere'], '--control'],
    [['apply'], "required option '-f, --file <FILE>' not specified"],
    [['explain', 'web'], 'who calls what is to be named: weft explain FROM TO'],
    [['explain', '--pid', '1'], 'with --pid, what is called is named alone'],
    [['explain', '--pid', '1', 'web', 'redis:6379'], 'with --pid, what is called is named alone'],
    [['explain', '--pid', 'x', 'redis:6379'], '--pid'],
    [['explain', '--pid', '1', 'redis:6379', '--control', 'c:7400'], '--pid is for the agent of the host'],
    [['explain', 'user:Bin', 'redis:6379'], 'FROM is a service, host:NAME, user:NAME or internet'],
    [['status', '--nonsense'], "unknown option '--nonsense'"],
    [['token', 'create', '--ttl', 'soon'], '--ttl takes a duration'],
    [['token', 'create', '--services', 'Redis'], '--services takes lower case names'],
    [['token', 'create', '--host', 'a_b'], "--host takes a host's name"],
    [['flows', '--limit', '0'], '--limit takes a number'],
    [['flows', '--from', 'host:'], '--from takes a service, host:NAME or internet'],
    [['flows', '--to', 'redis:0'], '--to takes SERVICE or SERVICE:PORT'],
    [['flows', '--to', 'statsd:8125/udp'], '--to takes SERVICE or SERVICE:PORT'],
    [['flows', '--host', 'a_b'], "--host takes a host's name"],
    [['flows', '--rule', ''], '--rule takes the name of a policy'],
    [['flows', '--outcome', 'toString'], '--outcome takes one of closed, reset, denied, cut'],
    [['flows', '--text', 'x'.repeat(201)], '--text takes 1 to 200 characters'],
    [['flows', '--since', 'yesterday'], '--since takes how long ago, such as 15m'],
    [['flows', '--until', '2026-02-28T25:00'], '--until takes how long ago'],
    [['flows', '--since', '2026-02-30T12:00'], '--since takes how long ago'],
    [['flows', '--since', '1m', '--until', '2m'], '--until takes a time after that of --since'],
    [['flows', '--id', 'xyz'], '--id takes 16 hexadecimal digits'],
    [['flows', '--follow', '--until', '1m'], '--follow has no end'],
    [['explain', 'WEB', 'redis:6379'], 'FROM is a service, host:NAME, user:NAME or internet'],
    [['explain', 'web', 'redis'], 'expected SERVICE:PORT'],
    [['services', '--control', 'nowhere'], '--control and WEFT_CONTROL take HOST:PORT'],
    [['up', '--dns', '53'], '--dns takes HOST:PORT'],
    [['up', '--vip-range', '127.96.0.1/12'], '--vip-range takes a range such as 127.96.0.0/12'],
    [['up', '--vip-range', '8.0.0.0/8'], "--vip-range must not be 8.0.0.0/8, which is not this host's alone to use"],
    [['up', '--vip-range', '100.80.0.0/12', '--dns', '100.80.0.9:53'], '--dns must not be within --vip-range'],
    [['up', '--vip-range', '127.0.0.0/8'], 'must not hold 127.0.0.1'],
    [['up', '--join', 'weftadmin1.x.y'], 'this is an admin token'],
    [['up', '--advertise', 'h:0'], '--advertise takes HOST:PORT'],
    [['up', '--advertise', '0.0.0.0:7410'], "found 0.0.0.0, which is no host's address"],
    [['up', '--advertise', '[::]:7410'], "found ::, which is no host's address"],
    [['up', '--advertise', '224.0.0.1:7410'], "which is no host's address"],
    [['up', '--advertise', '127.80.0.2:22'], "which is a service's own"],
    [['up', '--vip-range', '127.96.0.0/12', '--advertise', '127.96.0.2:22'], "which is a service's own"],
    [['up', '--join', joinElsewhere, '--advertise', '127.0.0.1:22'], 'which is within this host, and control is not'],
    [['up', '--join', joinElsewhere, '--advertise', '[::1]:22'], 'which is within this host, and control is not'],
    [['up', '--workers', '0'], '--workers takes auto, or a number of threads from 1 to 16'],
    [['up', '--workers', '65'], 'found "65"'],
    [['up', '--workers', '2.5'], '--workers takes auto, or a number of threads'],
    [['up', '--workers', 'automatic'], '--workers takes auto, or a number of threads'],
    [['up', '--workers', ''], '--workers takes auto, or a number of threads'],
    [['up', '--drain', 'long'], '--drain takes a duration up to 1h, such as 3s, or 0; found "long"'],
    [['up', '--drain', '3'], '--drain takes a duration up to 1h, such as 3s, or 0; found "3"'],
    [['up', '--drain', '61m'], 'found "61m"'],
    [['env', '--format', 'toml', '--json'], "argument 'toml' is invalid. Allowed choices are dotenv, json, shell"],
    [['env', '--format', 'shell', '--json'], '--json is --format json; found --format shell beside it'],
    [['up', '--metrics', 'here'], '--metrics takes HOST:PORT'],
  ])('%j is exit code 2, and says why on stderr', async (args, words) => {
    const { code, out, err } = await weft(...args);
    expect(err).toContain(words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  test('up refuses a log level that is none', async () => {
    const { code, err } = await weftWith({ env: { WEFT_LOG_LEVEL: 'loud' } }, 'up', '--join', joinElsewhere);
    expect(err).toContain('WEFT_LOG_LEVEL takes debug, info, warn, error or silent; found "loud"');
    expect(code).toBe(2);
  });

  test('help shows an example for every command', async () => {
    const terminal = processTerminal();
    const program = build(terminal, new AbortController().signal, false, () => {});
    helpProgram(program, terminal, false);
    const commands = ownOf(program);
    expect(commands.length).toBeGreaterThan(30);
    for (const command of commands) {
      const { code, out } = await weft(...command.split(' '), '--help');
      expect(code).toBe(0);
      expect(out, command).toMatch(new RegExp(`Example:\\n {2}(?:sudo )?weft ${command}`));
    }
    expect((await weft('--help')).code).toBe(0);
    const form = /^\d+\.\d+\.\d+(\+[0-9a-f]{12}(\.changed)?)?\n$/;
    for (const words of ['version', '--version']) expect((await weft(words)).out).toMatch(form);
  });
});

describe('help', () => {
  test('of a topic is printed, and so is that of a command, and both are found at the foot of the whole', async () => {
    const { code, out, err } = await weft('help', 'exit-codes');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^exit-codes: .+\n\n[\s\S]*^130 {3}interrupted by Ctrl-C/m);
    expect((await weft('help', 'token', 'create')).out).toBe((await weft('token', 'create', '--help')).out);
    const whole = await weft('help');
    expect(whole).toEqual(await weft('--help'));
    expect(whole.out).toMatch(/^Topics \(weft help TOPIC\):\n[\s\S]*^ {2}exit-codes +what/m);
    expect(whole.out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('of what is neither is exit code 2, and names the topics', async () => {
    const { code, out, err } = await weft('help', 'token', 'mend');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('there is no command and no topic "token mend"; topics: mesh-file, ');
  });
});

describe('completion', () => {
  /** What completes writes to the process's own stdout. */
  async function said(...args: readonly string[]): Promise<string> {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      expect((await weft(...args)).code).toBe(0);
      return log.mock.calls.flat().join('\n');
    } finally {
      log.mockRestore();
    }
  }

  test.each(['bash', 'zsh', 'fish'])('of %s is printed', async (shell) => {
    expect(await said('completion', shell)).toContain('weft');
  });

  test('knows the commands and their options', async () => {
    expect(await said('complete', '--', 'ro')).toContain('rollback');
    expect(await said('complete', '--', 'apply', '--le')).toContain('--leave-behind');
    expect(await said('complete', '--', 'help', 'exit')).toContain('exit-codes');
    expect(await said('complete', '--', 'help', 'gran')).toContain('grant');
    expect((await weft('completion', 'sh')).code).toBe(2);
    expect((await weft('--help')).out).toContain('completion');
  });
});

describe('reaching control', () => {
  test('says where the admin token was looked for', async () => {
    await noToken();
    const { code, err } = await weft('services');
    expect(code).toBe(1);
    expect(err).toContain(
      `cannot read the admin token ${join(directory, 'admin.token')}: there is no such file; name it with --admin-token-file`,
    );
  });

  test('says that control does not answer', async () => {
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    const { code, err } = await weft('services');
    expect(code).toBe(1);
    expect(err).toMatch(
      /^weft: control at 127\.0\.0\.1:1 cannot be reached: nobody listens there \(ECONNREFUSED\); check that weft-control runs there.*; or name another with --control\n$/,
    );
  });

  test('says that a port speaks no TLS', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32), secret: SECRET }));
    const { code, err } = await weft('services', '--control', address);
    server.close();
    expect(code).toBe(1);
    expect(err).toContain(
      `control at ${address} cannot be reached: what answers there speaks no TLS, as the ports of --dashboard`,
    );
  });

  test('refuses to talk to another control, before the token is sent', async () => {
    let asked = false;
    await serve({
      listServices: (_call, answer) => {
        asked = true;
        answer(null, {});
      },
    });
    await file('admin.token', encodeAdminToken({ pin: new Uint8Array(32).fill(1), secret: SECRET }));
    const { code, err } = await weft('services');
    expect({ code, asked }).toEqual({ code: 1, asked: false });
    expect(err).toContain('is not the control that made the admin token');
  });

  test('sends the token as bearer, and warns of a token that others may read', async () => {
    let bearer: unknown;
    await serve({
      listServices: (call, answer) => {
        bearer = call.metadata.get('authorization')[0];
        answer(null, { services: [] });
      },
    });
    await chmod(join(directory, 'admin.token'), 0o644);
    const { code, err } = await weft('services');
    expect(code).toBe(0);
    expect(bearer).toMatch(new RegExp(`^Bearer weftadmin1\\..*\\.${SECRET}$`));
    expect(err).toContain('may be read by others; chmod 600 it');
  });

  test('passes on what control refuses', async () => {
    await serve({
      revokeAgent: (_call, answer) => answer({ code: status.NOT_FOUND, details: 'there is no agent build-9' }),
      listTokens: (_call, answer) => answer({ code: status.UNAUTHENTICATED, details: 'not the admin token' }),
    });
    const refused = await weft('revoke', 'build-9');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('refused: there is no agent build-9');
    expect((await weft('token', 'list')).err).toContain('does not take the admin token');
  });
});
