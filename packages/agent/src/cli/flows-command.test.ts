import { Metadata, status } from '@grpc/grpc-js';
import type { FlowRecord, OpenFlow } from '@weft/proto';
import { flowToWire, openFlowToWire, type pb, timestampToWire } from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';

const { weft, serve } = commandLine();

describe('flows', () => {
  const record: FlowRecord = {
    id: '0123456789abcdef',
    startedMs: NOW,
    durationMs: 5,
    source: 'web',
    sourceHost: 'build-3',
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'build-4',
    port: 6379,
    protocol: 'tcp',
    verdict: 'deny',
    rule: 'no-admin-ui',
    revision: 4,
    outcome: 'denied',
    bytesSent: 2_048,
    bytesReceived: 0,
    zone: 'eu-west-1a',
    user: '',
    unit: '',
    program: '',
    detail: 'policy no-admin-ui denies',
  };

  test('one line a flow, and with --json one object a line', async () => {
    const asked: pb.ListFlowsRequest[] = [];
    const closed: FlowRecord = { ...record, verdict: 'allow', outcome: 'closed', detail: '' };
    await serve({
      listFlows: (call, answer) => {
        asked.push(call.request);
        const [one, nextPageToken] = call.request.pageToken === '' ? [closed, '7'] : [record, ''];
        answer(null, { flows: [flowToWire(one)], nextPageToken });
      },
    });
    const { out } = await weft('flows', '--denied', '--limit', '2');
    expect(asked).toMatchObject([
      { pageSize: 2, pageToken: '', filter: { verdict: 2 } },
      { pageSize: 1, pageToken: '7', filter: { verdict: 2 } },
    ]);
    expect(out.split('\n')[1]).toContain(
      'web@build-3  redis:6379  redis/0@build-4  deny     no-admin-ui  4    denied   2.0 KiB  0 B       eu-west-1a  policy no-admin-ui denies',
    );
    const json = (await weft('flows', '--json')).out.trimEnd().split('\n');
    expect(json).toHaveLength(2);
    expect(JSON.parse(json[0] ?? '')).toMatchObject({
      id: record.id,
      source: 'web',
      source_host: 'build-3',
      started_ms: NOW,
      verdict: 'deny',
    });
  });

  test('what is followed is printed as it comes', async () => {
    let asked: pb.WatchFlowsRequest | undefined;
    await serve({
      watchFlows: (call) => {
        asked = call.request;
        call.write({ flow: flowToWire(record) });
        call.write({ flow: flowToWire({ ...record, verdict: 'allow', outcome: 'closed', detail: '' }), missed: 3 });
        call.end();
      },
    });
    const { out, err } = await weft('flows', '--follow', '--denied', '--limit', '2');
    expect(asked).toMatchObject({ past: 2, filter: { verdict: 2 } });
    expect(out.split('\n')).toHaveLength(3);
    expect(err).toBe('warning: 3 flows are not shown: they came too fast\n');
    const json = (await weft('flows', '--follow', '--json')).out.trimEnd().split('\n');
    expect(json.map((text) => JSON.parse(text))).toMatchObject([{ id: record.id }, { outcome: 'closed' }]);
  });

  test('what is open is listed with who could not tell of it', async () => {
    const asked: pb.ListOpenFlowsRequest[] = [];
    const flow: OpenFlow = {
      ...{ id: '0123456789abcdef', source: 'web', sourceHost: 'build-3', service: 'redis', instance: 'redis/0' },
      ...{ destinationHost: 'build-4', port: 6379, bytesSent: 2_048, bytesReceived: 0, ageMs: 60_000, idleMs: 65_000 },
      protocol: 'tcp',
      ...{ user: 'www-data', unit: '', program: '/usr/bin/node' },
    };
    await serve({
      listOpenFlows: (call, answer) => {
        asked.push(call.request);
        const younger = openFlowToWire({ ...flow, id: '0123456789abcde0', ageMs: 1_000, idleMs: 0 }, NOW);
        if (call.request.pageToken !== '') {
          answer(null, { hosts: [{ host: 'build-3', state: 1, flows: [openFlowToWire(flow, NOW)] }] });
          return;
        }
        const told = { host: 'build-4', state: 1, flows: [younger, openFlowToWire(flow, NOW)], omitted: 7 };
        const untold = [
          { host: 'lap-1', state: 2 },
          { host: 'old-1', state: 4 },
          { host: 'old-2', state: 4 },
        ];
        answer(null, { hosts: [told, ...untold], nextPageToken: 'more' });
      },
    });
    const { out, err } = await weft('flows', '--open', '--from', 'web', '--to', 'redis:6379', '--host', 'build-4');
    const filter = { caller: { service: 'web' }, service: 'redis', port: 6379, host: 'build-4' };
    expect(asked).toMatchObject([
      { filter, pageToken: '' },
      { filter, pageToken: 'more' },
    ]);
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain(
      'web@build-3  redis:6379  redis/0@build-4  www-data  /usr/bin/node  2.0 KiB  0 B       1m 5s   0123456789abcdef',
    );
    expect(err.split('\n')).toEqual([
      'warning: 7 older flows are not shown; name a service or host to see them',
      'warning: lap-1: not connected; of flows there, only what other hosts know is shown',
      'warning: old-1, old-2: of an older version, which cannot tell; of flows at those, only what other hosts know is shown',
      '',
    ]);
    const json = (await weft('flows', '--open', '--json')).out.trimEnd().split('\n');
    expect(json.map((text) => JSON.parse(text))).toMatchObject([
      { id: flow.id, started_ms: NOW - 60_000, idle_ms: 65_000, source: 'web', bytes_sent: 2_048 },
      { id: '0123456789abcde0' },
    ]);
    for (const other of [['--denied'], ['--follow'], ['--limit', '5'], ['--since', '5m'], ['--text', 'x']]) {
      expect(await weft('flows', '--open', ...other)).toMatchObject({
        code: 2,
        err: expect.stringContaining('--open takes'),
      });
    }
  });

  test('what is followed goes on where it was when control comes back, without a line twice', async () => {
    const asked: pb.WatchFlowsRequest[] = [];
    const second = { ...record, id: '0123456789abcde0' };
    const lost = { code: status.UNAVAILABLE, details: 'Connection dropped', metadata: new Metadata() };
    await serve({
      watchFlows: (call) => {
        asked.push(call.request);
        if (asked.length === 1) {
          call.write({ flow: flowToWire(record), resumeToken: 'one' });
          call.emit('error', lost);
        } else if (asked.length === 2) {
          // Told again, as it was not on disk when control ended.
          call.write({ gap: true, resumeToken: 'one' });
          call.write({ flow: flowToWire(record), resumeToken: 'two' });
          call.write({ flow: flowToWire(second), resumeToken: 'three' });
          call.emit('error', { ...lost, code: status.CANCELLED });
        } else call.end();
      },
    });
    const { code, out, err } = await weft('flows', '--follow', '--json', '--denied');
    expect(asked).toMatchObject([
      { past: 100, resumeToken: '', filter: { verdict: 2 } },
      { past: 0, resumeToken: 'one', filter: { verdict: 2 } },
      { past: 0, resumeToken: 'three', filter: { verdict: 2 } },
    ]);
    const ids = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id);
    expect([code, ids]).toEqual([0, [record.id, second.id]]);
    expect(err.split('\n').map((line) => line.replace(/127\S+/, 'AT'))).toEqual([
      'warning: control at AT does not answer; what ends meanwhile is shown once it is back',
      'control is back',
      'warning: some of what ended meanwhile may not be kept any more',
      'warning: control at AT does not answer; what ends meanwhile is shown once it is back',
      '',
    ]);
  });

  test('filters are sent as they are meant', async () => {
    let asked: pb.ListFlowsRequest | undefined;
    await serve({
      listFlows: (call, answer) => {
        asked = call.request;
        answer(null, {});
      },
    });
    const who = ['--from', 'host:build-3', '--to', 'redis.internal:6379', '--host', 'b', '--rule', 'r', '--zone', 'eu'];
    const what = ['--outcome', 'no-instance', '--text', 'Words', '--id', '00000000deadbeef'];
    const when = ['--since', '1h30m', '--until', '2026-03-01T12:00:00Z'];
    expect(await weft('flows', ...who, ...what, ...when)).toMatchObject({ code: 0 });
    expect(asked).toMatchObject({
      filter: {
        caller: { host: 'build-3' },
        service: 'redis',
        port: 6379,
        host: 'b',
        rule: 'r',
        zone: 'eu',
        outcome: 5,
        text: 'Words',
        id: '00000000deadbeef',
        fromTime: timestampToWire(NOW - 5_400_000),
        toTime: timestampToWire(NOW),
      },
    });
    const fromTime = timestampToWire(new Date(2026, 1, 1).getTime());
    // Without a zone it is by this host's clock, as the listing shows it.
    await weft('flows', '--since', '2026-02-01', '--to', 'redis');
    expect(asked).toMatchObject({ filter: { service: 'redis', port: 0, fromTime } });
  });

  test('an error in the stream is an error of the command', async () => {
    await serve({
      watchFlows: (call) => {
        call.emit('error', { code: status.NOT_FOUND, details: 'there is no network x', metadata: new Metadata() });
      },
    });
    const { code, err } = await weft('flows', '--follow', '--network', 'x');
    expect(code).toBe(1);
    expect(err).toContain('refused: there is no network x');
  });
});
