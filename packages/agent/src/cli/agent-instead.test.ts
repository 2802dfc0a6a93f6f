import { mkdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { FlowRecord, OpenFlow } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import type { ExplainAnswer } from '../observe/local-question.ts';
import type { ServiceView } from '../observe/service-view.ts';
import { hasToken, untakenToken } from './admin.ts';
import { commandLine, NOW } from './command-line.fixture.ts';
import { agentStatus, localAgents } from './local-agent.fixture.ts';

const { directory, weft, weftWith, serve } = commandLine();
const localAgent = localAgents(directory);

/** As on a host that has no more than its agent. */
const ALONE = { WEFT_CONTROL: '', WEFT_ADMIN_TOKEN_FILE: '' };

const record = (id: string, overrides: Partial<FlowRecord> = {}): FlowRecord => ({
  ...{ id: id.padStart(16, '0'), startedMs: NOW - 60_000, durationMs: 1_000, source: 'web', sourceHost: 'build-3' },
  ...{
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'data-1',
    port: 6379,
    protocol: 'tcp',
    verdict: 'allow',
  },
  ...{
    rule: 'default',
    revision: 12,
    outcome: 'closed',
    bytesSent: 1,
    bytesReceived: 2,
    zone: '',
    user: '',
    unit: '',
    program: '',
    detail: '',
  },
  ...overrides,
});
const flows = (...recent: readonly FlowRecord[]) => ({
  flows: { open: 0, recorded: recent.length, dropped: 0, recent },
});
const lines = (out: string) =>
  out
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { id: string });
const ids = (out: string) => lines(out).map(({ id }) => id.replace(/^0+/, ''));

describe('with an agent, and nothing that leads to control', () => {
  test('services are those that it is told of, which it says', async () => {
    const services: ServiceView[] = [
      {
        service: { name: 'redis', kind: 'private', ports: ['6379'], tags: [] },
        vip: '127.80.0.7',
        instances: [
          { ordinal: 0, host: 'data-1', address: '127.80.0.8', healthy: true, notListening: [], opened: [] },
          { ordinal: 1, host: '', address: '127.80.0.9', healthy: false, notListening: ['6379'], opened: [] },
        ],
      },
    ];
    const data = await localAgent({}, { services: { services } });
    const { code, out, err } = await weftWith({ env: ALONE }, 'services', '--data', data);
    expect({ code, err }).toEqual({
      code: 0,
      err: 'as the agent of build-3 knows it: the services that it is told of; control is not asked\n',
    });
    expect(out).toMatch(/^redis +private +127\.80\.0\.7 +6379 +1\/2 +- +0@data-1, 1 \(not listening: 6379\)$/m);
    const json = await weftWith({ env: ALONE }, 'services', '--json', '--data', data);
    expect(JSON.parse(json.out)).toMatchObject({ services: [{ service: { name: 'redis' }, vip: '127.80.0.7' }] });
  });

  test('flows are those that it recorded last, by what is asked for', async () => {
    const data = await localAgent(
      flows(
        record('1'),
        record('2', { verdict: 'deny', rule: 'closed', outcome: 'denied' }),
        record('3', { service: 'rabbit', port: 5672 }),
        record('4', { startedMs: NOW - 3_600_000 }),
      ),
    );
    const asked = async (...more: readonly string[]) =>
      ids((await weftWith({ env: ALONE }, 'flows', '--json', '--data', data, ...more)).out);
    expect(await asked()).toEqual(['1', '2', '3', '4']);
    expect(await asked('--denied')).toEqual(['2']);
    expect(await asked('--to', 'rabbit:5672')).toEqual(['3']);
    expect(await asked('--text', 'CLOSED')).toEqual(['1', '2', '3', '4']);
    expect(await asked('--rule', 'closed')).toEqual(['2']);
    expect(await asked('--since', '5m')).toEqual(['1', '2', '3']);
    expect(await asked('--until', '5m')).toEqual(['4']);
    expect(await asked('--limit', '2')).toEqual(['3', '4']);
    const { out, err } = await weftWith({ env: ALONE }, 'flows', '--denied', '--data', data);
    expect(err).toBe(
      'as the agent of build-3 knows it: the last flows that came to this host, and those of its own that got nowhere; control is not asked\n',
    );
    expect(out).toMatch(/deny +closed/);
  });

  test('flows are followed as they end, each once, while the agent is gone for a while', async () => {
    const stop = new AbortController();
    const said = { out: '', err: '' };
    const recent = [record('1')];
    const data = await localAgent({});
    const path = join(data, 'other');
    const answering = async (): Promise<Server> => {
      const server = createServer((socket) =>
        socket.resume().end(`${JSON.stringify(agentStatus(flows(...recent)))}\n`),
      );
      await new Promise<void>((resolve) => server.listen(join(path, 'agent.sock'), resolve));
      return server;
    };
    await mkdir(path, { mode: 0o700 });
    let server = await answering();
    const ended = weftWith({ env: ALONE, said, signal: stop.signal }, 'flows', '--follow', '--json', '--data', path);
    await expect.poll(() => ids(said.out)).toEqual(['1']);
    recent.push(record('2'));
    await expect.poll(() => ids(said.out), { timeout: 5_000 }).toEqual(['1', '2']);
    await new Promise((resolve) => server.close(resolve));
    await expect.poll(() => said.err, { timeout: 5_000 }).toContain('the agent does not answer');
    recent.splice(0, 2, record('3'));
    server = await answering();
    await expect.poll(() => ids(said.out), { timeout: 5_000 }).toEqual(['1', '2', '3']);
    expect(said.err).toContain('the agent is back');
    stop.abort();
    expect((await ended).code).toBe(0);
    await new Promise((resolve) => server.close(resolve));
  });

  test('open flows are those with an end there', async () => {
    const { id, source, sourceHost, service, instance, destinationHost, port, protocol } = record('7');
    const ends = { id, source, sourceHost, service, instance, destinationHost, port, protocol };
    const who = { user: 'bin', unit: 'web.service', program: '/usr/bin/node' };
    const open: OpenFlow = { ...ends, ...who, bytesSent: 1, bytesReceived: 2, ageMs: 5_000, idleMs: 1_000 };
    const data = await localAgent({}, { 'open-flows': { flows: [open], omitted: 3 } });
    const { code, out, err } = await weftWith({ env: ALONE }, 'flows', '--open', '--json', '--data', data);
    expect({ code, flows: lines(out) }).toMatchObject({
      code: 0,
      flows: [{ id: open.id, started_ms: NOW - 5_000, ...who }],
    });
    expect(err).toContain('warning: 3 older flows are not shown');
  });

  test('explain tells the verdict and the way, as the agent sees them', async () => {
    const answer: ExplainAnswer = {
      ...{ verdict: 'deny', rule: 'closed', revision: 12, reason: 'policy closed denies web', breakPoint: 'denied' },
      steps: ['revision 12 denies it by closed'],
    };
    const data = await localAgent({}, { explain: answer });
    const { code, out, err } = await weftWith({ env: ALONE }, 'explain', 'web', 'redis:6379', '--data', data);
    expect({ code, err }).toEqual({
      code: 3,
      err: 'as the agent of build-3 knows it: flows from this host and to it, by the rules that it is told of and the ways from here; control is not asked\n',
    });
    expect(out).toMatch(/^deny {2}web -> redis:6379\nrule: closed\nrevision: 12\n/);
    const json = await weftWith({ env: ALONE }, 'explain', 'web', 'redis:6379', '--json', '--data', data);
    expect(JSON.parse(json.out)).toMatchObject({ verdict: 'deny', break_point: 'denied', steps: answer.steps });
    const of = { pid: 12, user: 'bin', unit: '', program: '/usr/bin/web', service: 'web' };
    const known = await localAgent({}, { 'explain-caller': { ...answer, process: of } });
    const pid = await weftWith({ env: ALONE }, 'explain', '--pid', '12', 'redis:6379', '--json', '--data', known);
    expect(JSON.parse(pid.out)).toMatchObject({ from: 'pid:12', process: of, to: { service: 'redis' } });
    // One of before takes a process or a user for a service, which it has nothing true to say of.
    const unknown = { error: { code: 'question-unknown', message: 'this agent does not know what it is asked' } };
    const older = await localAgent({}, { explain: answer, 'explain-caller': unknown });
    for (const from of [['--pid', '12'], ['user:bin']])
      expect(await weftWith({ env: ALONE }, 'explain', ...from, 'redis:6379', '--data', older)).toMatchObject({
        code: 1,
        err: expect.stringContaining('is of an older version'),
      });
    const refusal = { error: { code: 'not-own', message: 'this is no flow of build-3' } };
    const foreign = await localAgent({}, { explain: refusal });
    expect(await weftWith({ env: ALONE }, 'explain', 'web', 'redis:6379', '--data', foreign)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/weft: this is no flow of build-3\n$/),
    });
  });

  test('of another network nothing is known', async () => {
    const data = await localAgent({});
    expect(await weftWith({ env: ALONE }, 'services', '--network', 'staging', '--data', data)).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /the agent here is build-3 in network prod, and knows nothing of staging; ask control/,
      ),
    });
  });

  test('one of an older version says so', async () => {
    const data = await localAgent({});
    const { code, err } = await weftWith({ env: ALONE }, 'services', '--data', data);
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining('is of an older version, which does not tell; restart it'),
    });
  });
});

test('with neither an agent nor a token both are named', async () => {
  const home = { ...ALONE, HOME: join(directory, 'nobody'), XDG_STATE_HOME: join(directory, 'nobody') };
  const { code, err } = await weftWith({ env: home }, 'flows');
  expect({ code, err }).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /^weft: there is no admin token at .*, and no agent runs that keeps its state in .*; start it: weft up; /,
    ),
  });
});

test('a default token that may not be read leads to nobody, and is not told of as one that is not there', () => {
  // A name that no file system takes: nobody may read it, root neither.
  const unread = { named: false, tokenFile: join(directory, 'x'.repeat(300)) };
  const absent = { named: false, tokenFile: join(directory, 'none') };
  expect([unread, absent, { ...unread, named: true }].map(hasToken)).toEqual([false, false, true]);
  expect(untakenToken(unread)).toMatch(/^there is no admin token at .*x that may be read$/);
  expect(untakenToken(absent)).toMatch(/^there is no admin token at .*none$/);
});

test('control is asked where something leads to it', async () => {
  await serve({ listServices: (_call, answer) => answer(null, { services: [] }) });
  expect(await weft('services')).toMatchObject({ code: 0, err: '' });
});
