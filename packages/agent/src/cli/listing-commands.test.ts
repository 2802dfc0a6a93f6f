import { status } from '@grpc/grpc-js';
import { durationToWire, serviceToWire, timestampToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';
import { formatTime } from './format.ts';

const { weft, serve } = commandLine();

describe('listings', () => {
  test('before the first apply are empty, and say why on stderr', async () => {
    const none = { code: status.NOT_FOUND, details: 'there is no network yet; weft apply makes one' };
    await serve({
      listServices: (_call, answer) => answer(none),
      listAgents: (_call, answer) => answer(none),
      listTokens: (_call, answer) => answer(none),
      listFlows: (_call, answer) => answer(none),
    });
    const err = `${none.details}\n`;
    for (const [member, ...command] of [
      ['services', 'services'],
      ['agents', 'agents'],
      ['tokens', 'token', 'list'],
    ] as const) {
      const { code, out, err: told } = await weft(...command, '--json');
      expect({ code, answer: JSON.parse(out), told }).toEqual({
        code: 0,
        answer: { version: 1, [member]: [] },
        told: err,
      });
    }
    expect(await weft('flows', '--json')).toEqual({ code: 0, out: '', err });
    expect((await weft('services')).out).toMatch(/^NAME .*\n$/);
    // A network that was named and is not there is a mistake.
    expect((await weft('services', '--json', '--network', 'prod')).code).toBe(1);
  });

  test('are read to their last page', async () => {
    const asked: string[] = [];
    await serve({
      listTokens: ({ request: { pageToken } }, answer) => {
        asked.push(pageToken);
        const page = asked.length;
        answer(null, { tokens: [{ tokenId: `tk_${page}` }], nextPageToken: page < 3 ? `after-${page}` : '' });
      },
    });
    const { out } = await weft('token', 'list', '--json');
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      tokens: [{ token_id: 'tk_1' }, { token_id: 'tk_2' }, { token_id: 'tk_3' }],
    });
    expect(asked).toEqual(['', 'after-1', 'after-2']);
  });

  test('services', async () => {
    const service = serviceToWire({
      name: 'redis',
      kind: 'private',
      ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
      tags: [],
    });
    const instances = [
      {
        ordinal: 0,
        host: 'build-3',
        addresses: ['127.80.0.9'],
        healthy: true,
        opened: [{ protocol: 2, first: 53, last: 53 }],
      },
      { ordinal: 1, host: 'build-4', addresses: ['127.80.0.10'], notListening: service.ports ?? [], away: true },
    ];
    const listing: Parameters<typeof serve>[0] = {
      listServices: (_call, answer) => answer(null, { services: [{ service, addresses: ['127.80.0.7'], instances }] }),
    };
    await serve({ ...listing, getStatus: (_call, answer) => answer({ code: status.INTERNAL, details: 'it ends' }) });
    const alone = await weft('services');
    expect([alone.code, alone.err]).toEqual([
      0,
      expect.stringMatching(/^note: whether control's data is .* was not told: .*it ends/),
    ]);
    await serve({
      ...listing,
      getStatus: (_call, answer) =>
        answer(null, { olderData: { revision: 9, hosts: ['build-4'], sinceTime: timestampToWire(NOW) } }),
    });
    const listed = await weft('services');
    expect(listed.out).toBe(alone.out);
    expect(listed.err).toMatch(/control knows that its data is older than what build-4 heard \(revision 9\)/);
    expect(listed.out).toBe(
      'NAME   KIND     VIP         PORTS  HEALTHY  PUBLIC  INSTANCES\n' +
        'redis  private  127.80.0.7  6379   1/2      -       0@build-3 (opened: 53/udp), 1@build-4 (away; not listening: 6379)\n',
    );
    expect(JSON.parse((await weft('services', '--json')).out).services).toEqual([
      {
        service: { name: 'redis', kind: 'private', ports: ['6379'], tags: [] },
        vip: '127.80.0.7',
        instances: [
          {
            ...{
              ordinal: 0,
              host: 'build-3',
              address: '127.80.0.9',
              healthy: true,
              not_listening: [],
              opened: ['53/udp'],
            },
            away: false,
          },
          {
            ...{
              ordinal: 1,
              host: 'build-4',
              address: '127.80.0.10',
              healthy: false,
              not_listening: ['6379'],
              opened: [],
            },
            away: true,
          },
        ],
      },
    ]);
  });

  test('agents, whose words cannot move the cursor', async () => {
    const report = {
      endpoints: ['192.0.2.3:7410'],
      instances: [{ service: 'redis', healthy: true }],
      sandboxes: ['web', 'redis', 'web'].map((service) => ({ service })),
      problems: [{ code: 'port-taken', subject: 'redis:6379', message: 'taken' }],
    };
    const heldOff = { code: 'held-off', subject: 'build-5', message: 'data is older' };
    await serve({
      listAgents: (_call, answer) =>
        answer(null, {
          agents: [
            {
              agentId: 'a1',
              host: 'build-3',
              connected: true,
              enforcedRevision: 4,
              services: ['redis', 'web'],
              tags: ['a\u202eb\u2028'],
              addresses: ['127.80.0.3'],
              capability: 2,
              rights: [
                { source: 1, tokenId: 'tk1', services: ['redis'], sinceTime: timestampToWire(NOW) },
                { source: 1, tokenId: 'tk2' },
                { source: 2, services: ['web'] },
              ],
              behind: durationToWire(1_500),
              clockSkew: durationToWire(-7),
              observedHost: '198.51.100.7',
              addressHint: 'behind NAT',
              telemetry: {
                interval: durationToWire(5_000),
                recordsLost: 1_200,
                peers: [
                  { host: 'build-4', roundTrip: durationToWire(0.3), pathSize: 1_252 },
                  { host: 'build-5', pathSize: 1_400 },
                  { host: 'build-6' },
                ],
              },
              report,
            },
            { agentId: 'a2', host: 'build-4', lastSeenTime: timestampToWire(NOW - 3_723_000) },
            {
              ...{ agentId: 'a3', host: 'build-5', report: { problems: [heldOff] } },
              ...{ clockSkew: durationToWire(7_199_945), telemetry: { interval: durationToWire(5_000) } },
            },
          ],
        }),
    });
    const { out, err } = await weft('agents');
    const joined = formatTime(NOW);
    expect(out.split('\n').map((line) => line.split(/ {2,}/).join('|'))).toEqual([
      'HOST|STATE|ENFORCES|ADDRESS|MAY RUN|RUNS|SHUT IN|ROLES|TAGS|CLOCK|PATHS|TUNNELS AT|SEEN FROM|RECORDS LOST|CAPABILITY|PROBLEMS|CAME BY|ID',
      `build-3|connected|4|127.80.0.3|redis,web|redis|2 web, redis|-|a\ufffdb\ufffd|-7 ms|1252-1400 B|192.0.2.3:7410|198.51.100.7 (behind NAT)|1200|2|1|tk1 ${joined}, tk2|a1`,
      'build-4|away, last seen 1h 2m ago|0|-|-|-|-|-|-|-|-|-|-|-|-|0|-|a2',
      'build-5|held off|0|-|-|-|-|-|-|+2h|-|-|-|0|-|1|-|a3',
      '',
    ]);
    expect(err).toBe('build-3: redis:6379: taken\nbuild-5: build-5: data is older\n');
    const { agents: json } = JSON.parse((await weft('agents', '--json')).out) as { agents: Record<string, unknown>[] };
    expect(json[0]).toMatchObject({
      capability: 2,
      behind_ms: 1_500,
      clock_skew_ms: -7,
      observed_host: '198.51.100.7',
      address_hint: 'behind NAT',
      telemetry: {
        interval_ms: 5_000,
        records_lost: 1_200,
        peers: [{ host: 'build-4', round_trip_us: 300, path_size: 1_252 }, {}, {}],
      },
    });
    expect(json[1]).toMatchObject({ agent_id: 'a2', connected: false, enforced_revision: 0, report: null });
    expect(json[1]).toMatchObject({ behind_ms: 0, clock_skew_ms: 0, telemetry: null });
  });

  test('revoke', async () => {
    await serve({ revokeAgent: (_call, answer) => answer(null, { revision: 5, agentId: 'a1' }) });
    expect((await weft('revoke', 'build-3')).out).toBe('build-3 (a1) revoked at revision 5\n');
    expect(JSON.parse((await weft('revoke', 'build-3', '--json')).out)).toMatchObject({ agent_id: 'a1', revision: 5 });
    await serve({
      revokeAgent: (_call, answer) =>
        answer(null, {
          revision: 5,
          agentId: 'a1',
          hosts: ['build-3'],
          admittingToken: 'tk_1',
          joinedAlike: ['build-4'],
        }),
    });
    expect((await weft('revoke', 'build-3')).err).toBe(
      'note: it had joined with token tk_1, with which others can still join under other names; so did build-4, ' +
        'which go on. If somebody else may have it, weft token replace ID keeps those; weft token revoke ID ends them\n',
    );
    const taken = { revision: 7, stragglers: ['build-5'], notKept: ['build-6'] };
    await serve({
      revokeAgent: (_call, answer) => answer(null, { ...taken, agentId: 'a1' }),
      revokeToken: (_call, answer) => answer(null, taken),
    });
    for (const command of [
      ['revoke', 'build-3'],
      ['token', 'revoke', 'tk_1'],
    ]) {
      const { code, err } = await weft(...command);
      expect([code, err]).toEqual([
        0,
        expect.stringMatching(
          /^note: revision 7 is accepted, but not enforced within 3s by: build-5\..*\nnote: revision 7 is enforced, but not kept by: build-6\./,
        ),
      ]);
    }
  });

  test('revoke with the token names all that it ended', async () => {
    await serve({
      revokeAgent: (_call, answer) => answer(null, { revision: 6, agentId: 'a1', hosts: ['build-3', 'build-4'] }),
    });
    expect((await weft('revoke', 'build-3', '--with-token')).out).toContain('with its token ended: build-3, build-4\n');
  });
});
