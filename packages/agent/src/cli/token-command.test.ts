import { status } from '@grpc/grpc-js';
import { encodeJoinToken } from '@weft/proto';
import { durationToWire, type pb, rolesToWire, timestampToWire } from '@weft/proto/wire';
import { beforeEach, describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';

const { weft, weftWith, serve } = commandLine();

const NEAR = encodeJoinToken({
  addresses: ['127.0.0.1:17400'],
  pin: new Uint8Array(32),
  id: 'tk1',
  secret: Buffer.alloc(32).toString('base64url'),
});

describe('tokens', () => {
  const requests: pb.CreateTokenRequest[] = [];
  let replacing: pb.Message<'ReplaceTokenRequest'> | undefined;
  beforeEach(() =>
    serve({
      createToken: (call, answer) => {
        requests.push(call.request);
        const networkCreated = call.request.network === 'fresh';
        const token = call.request.network === 'near' ? NEAR : 'weft1.abc';
        answer(null, { token, tokenId: 'tk1', expireTime: timestampToWire(NOW + 1), networkCreated });
      },
      listTokens: (call, answer) =>
        answer(null, {
          tokens: [
            ...(call.request.all
              ? [{ tokenId: 'tk0', expireTime: timestampToWire(1), endTime: timestampToWire(1) }]
              : []),
            {
              tokenId: 'tk1',
              services: ['redis', 'web'],
              reusable: true,
              uses: 2,
              expireTime: timestampToWire(NOW + 60_000),
            },
            {
              tokenId: 'tk2',
              host: 'build-3',
              roles: rolesToWire(['gateway']),
              uses: 1,
              expireTime: timestampToWire(NOW + 60_000),
            },
            { tokenId: 'tk3', ephemeral: true, expireTime: timestampToWire(NOW - 1) },
            { tokenId: 'tk4', revoked: true, expireTime: timestampToWire(NOW + 1) },
          ],
        }),
      replaceToken: (call, answer) => {
        replacing = call.request;
        const hosts = call.request.tokenId === 'tk1' ? ['a', 'b'] : [];
        answer(null, { token: 'weft1.new', tokenId: 'tk9', expireTime: timestampToWire(NOW + 1), revision: 8, hosts });
      },
      revokeToken: (call, answer) => {
        const of = { tk1: { hosts: ['a', 'b'] }, tk4: { revision: 0, already: true } };
        const others = { narrowed: ['c', 'd'], madeEphemeral: ['d'] };
        answer(null, { revision: 9, ...(of[call.request.tokenId as keyof typeof of] ?? others) });
      },
    }),
  );

  test.each([
    [['--services', ' redis, web,']],
    [['--services', 'redis web']],
    [['--services', 'redis', '--services=web']],
  ])('create takes services as %j', async (options) => {
    expect((await weft('token', 'create', ...options, '--ttl', '1h30m')).code).toBe(0);
    expect(requests.at(-1)).toMatchObject({ services: ['redis', 'web'], ttl: durationToWire(5_400_000) });
  });

  test.each(['', ' , '])('create takes no list that names nothing: %j', async (list) => {
    expect(await weft('token', 'create', '--services', list)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--services takes lower case names .*; found " ?,? ?"/),
    });
  });

  test('create prints the token alone', async () => {
    const made = await weft(
      'token',
      'create',
      '--network',
      'prod',
      '--services',
      'redis,web',
      '--gateway',
      '--ttl',
      '7d',
    );
    expect(made).toEqual({ code: 0, out: 'weft1.abc\n', err: '' });
    expect(requests.at(-1)).toMatchObject({
      network: 'prod',
      services: ['redis', 'web'],
      roles: rolesToWire(['gateway']),
      reusable: false,
      ephemeral: false,
      ttl: durationToWire(604_800_000),
    });
    const json = await weft('token', 'create', '--json');
    const answer = {
      version: 1,
      token: 'weft1.abc',
      token_id: 'tk1',
      expires_ms: NOW + 1,
      network_created: false,
      warnings: [],
    };
    expect(JSON.parse(json.out)).toEqual(answer);
    expect(requests.at(-1)?.ttl).toMatchObject({ seconds: 3_600 });
  });

  test('create says on stderr that no other host can follow the token', async () => {
    for (const options of [[], ['--json']]) {
      const { code, err } = await weft('token', 'create', '--network', 'near', ...options);
      expect({ code, err }).toEqual({
        code: 0,
        err: expect.stringMatching(
          /^note: the token leads to 127\.0\.0\.1:17400, .* --advertise HOST:PORT, its --listen more than loopback, and make another token\n$/,
        ),
      });
    }
  });

  test('create says on stderr that it made the network', async () => {
    const err = 'note: network fresh is new; it has no services until weft apply\n';
    const made = await weft('token', 'create', '--network', 'fresh');
    expect(made).toEqual({ code: 0, out: 'weft1.abc\n', err });
    const json = await weft('token', 'create', '--network', 'fresh', '--json');
    expect(json.err).toBe(err);
    expect(JSON.parse(json.out)).toMatchObject({ network_created: true });
  });

  test('list', async () => {
    const { out } = await weft('token', 'list');
    expect(out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 8).join('|'))).toEqual([
      'ID|STATE|SERVICES|HOST|ROLES|REUSABLE|EPHEMERAL|USES',
      'tk1|valid|redis,web|-|-|yes|-|2',
      'tk2|used|-|build-3|gateway|-|-|1',
      'tk3|expired|-|-|-|-|yes|0',
      'tk4|revoked|-|-|-|-|-|0',
      '',
    ]);
    const json = JSON.parse((await weft('token', 'list', '--json')).out) as { tokens: unknown[] };
    expect(json.tokens[2]).toEqual({
      token_id: 'tk3',
      services: [],
      host: '',
      roles: [],
      reusable: false,
      ephemeral: true,
      created_ms: 0,
      expires_ms: NOW - 1,
      ended_ms: 0,
      uses: 0,
      revoked: false,
      replaced_by: '',
    });
    expect(out).not.toContain('tk0');
    expect((await weft('token', 'list', '--all')).out).toContain('tk0');
  });

  test('replace prints the new token alone, and tells on stderr who stays by it', async () => {
    const { code, out, err } = await weft('token', 'replace', 'tk1');
    expect({ code, out }).toEqual({ code: 0, out: 'weft1.new\n' });
    expect(err).toContain('note: tk1 admits nobody from revision 8 on; these stay, by tk9: a, b\n');
    expect(replacing).toMatchObject({ tokenId: 'tk1', ttl: null });
    const json = await weft('token', 'replace', 'tk4', '--ttl', '7d', '--json');
    expect(JSON.parse(json.out)).toEqual({
      ...{ version: 1, token: 'weft1.new', token_id: 'tk9', expires_ms: NOW + 1, replaced: 'tk4', revision: 8 },
      ...{ hosts: [], stragglers: [], not_kept: [] },
    });
    expect(json.err).toContain('no member had joined with it');
    expect(replacing?.ttl).toMatchObject({ seconds: 604_800 });
    expect(await weft('token', 'replace', 'tk1', '--ttl', 'soon')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--ttl takes a duration from 1s to 365d'),
    });
  });

  test('control of an older version, which replaces no token, is told of as that', async () => {
    await serve({ replaceToken: (_call, answer) => answer({ code: status.UNIMPLEMENTED, details: 'unknown method' }) });
    expect(await weft('token', 'replace', 'tk1')).toMatchObject({
      code: 1,
      err: expect.stringContaining('control is of an older version, which cannot replace a token'),
    });
  });

  test('revoke', async () => {
    expect((await weft('token', 'revoke', 'tk1')).out).toBe('token tk1 revoked at revision 9; with it ended: a, b\n');
    expect((await weft('token', 'revoke', 'tk4')).out).toBe('token tk4 was revoked already\n');
    expect((await weft('token', 'revoke', 'tk2')).out).toBe(
      'token tk2 revoked at revision 9; it had only added to these, which go on by what else they have: c, d; ' +
        'these were to stay by it alone, and are ephemeral from now on, so that control forgets them once they are away: d\n',
    );
    expect(JSON.parse((await weft('token', 'revoke', 'tk2', '--json')).out)).toEqual({
      version: 1,
      token_id: 'tk2',
      revision: 9,
      already: false,
      hosts: [],
      narrowed: ['c', 'd'],
      made_ephemeral: ['d'],
      stragglers: [],
      not_kept: [],
    });
  });
});

test('an interruption says what it leaves, where something was to be changed', async () => {
  const asked = ['createToken', 'listTokens'] as const;
  for (const [index, command] of ['create', 'list'].entries()) {
    const stop = new AbortController();
    await serve({ [asked[index] ?? '']: () => stop.abort() });
    const { code, err } = await weftWith({ signal: stop.signal }, 'token', command);
    const left = '; control may have taken it, and goes on with it: weft audit tells';
    expect({ code, err }).toEqual({ code: 130, err: `weft: interrupted${command === 'create' ? left : ''}\n` });
  }
});
