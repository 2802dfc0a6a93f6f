import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { FlowRecord } from '@weft/proto';
import { afterEach, describe, expect, test } from 'vitest';
import { commandLine, NOW } from './command-line.fixture.ts';
import { localAgents } from './local-agent.fixture.ts';
import { Interrupted } from './terminal.ts';

const { directory, weft, weftWith } = commandLine();
const localAgent = localAgents(directory);
const redis = { name: 'redis.internal', kind: 'private', address: '127.0.0.1', instances: 1, healthy: 1 };

/** A service on this host, and a directory whose agent leads to it. */
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

async function service(serve: (socket: Socket) => void, status: object = {}) {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const data = await localAgent({ names: [{ ...redis, ports: [String(port), '9/udp'] }], problems: [], ...status });
  return { port, data };
}

function record(port: number, overrides: Partial<FlowRecord>): Partial<FlowRecord> {
  const ends = { source: 'host:build-3', service: 'redis', port, protocol: 'tcp' } as const;
  return { ...ends, startedMs: NOW, verdict: 'allow', rule: 'default', revision: 12, detail: '', ...overrides };
}

describe('connect', () => {
  test('carries stdin to the service, and what it says once stdin has ended to stdout', async () => {
    const { port, data } = await service((socket) => {
      const pieces: Buffer[] = [];
      socket.on('data', (piece) => pieces.push(piece));
      socket.on('end', () => socket.end(`heard ${Buffer.concat(pieces).toString()}`));
    });
    const input = 'x'.repeat(300_000);
    const { code, out, err } = await weftWith({ input }, 'connect', `redis.internal:${port}`, '--data', data);
    expect({ code, err, heard: out === `heard ${input}` }).toEqual({ code: 0, err: '', heard: true });
  });

  test('tells the end of what the service says while stdin goes on', async () => {
    const heard = Promise.withResolvers<string>();
    const { port, data } = await service((socket) => {
      let text = '';
      socket.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      socket.on('end', () => heard.resolve(text));
      socket.end('bye');
    });
    const input = new PassThrough();
    const output = new PassThrough().setEncoding('utf8');
    const connected = weftWith({ input: { input, output } }, 'connect', `redis:${port}`, '--data', data);
    expect(await once(output, 'data')).toEqual(['bye']);
    await once(output, 'end');
    input.end('later');
    expect(await heard.promise).toBe('later');
    expect((await connected).code).toBe(0);
  });

  test('ends with the service where a person is at stdin', async () => {
    const { port, data } = await service((socket) => socket.resume().end('bye'));
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const output = new PassThrough();
    output.resume();
    expect((await weftWith({ input: { input, output } }, 'connect', `redis:${port}`, '--data', data)).code).toBe(0);
  });

  test('resets the service when what goes to it breaks off', async () => {
    const broken = Promise.withResolvers<string>();
    const { port, data } = await service((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => broken.resolve(error.code ?? ''));
      socket.once('data', () => input.destroy(new Error('no more')));
      socket.on('end', () => broken.resolve('end'));
    });
    const input = new PassThrough();
    input.write('begun');
    const output = new PassThrough();
    const connected = weftWith({ input: { input, output } }, 'connect', `redis:${port}`, '--data', data);
    expect(await broken.promise).toBe('ECONNRESET');
    await connected;
  });

  test.each([
    ['at a signal resets the service, which would take a part for the whole', undefined, true, 'ECONNRESET'],
    ['at a hangup that ssh sends it resets the service as well', new Interrupted(true), false, 'ECONNRESET'],
    ['at a hangup that ssh sends it ends what stdin has said in full', new Interrupted(true), true, 'begun, all of it'],
  ])('%s', async (_what, reason, whole, seen) => {
    const stop = new AbortController();
    const ended = Promise.withResolvers<string>();
    const { port, data } = await service((socket) => {
      let heard = '';
      socket.on('error', (error: NodeJS.ErrnoException) => ended.resolve(error.code ?? ''));
      socket.on('end', () => ended.resolve(heard));
      socket.on('data', (piece) => {
        heard += String(piece);
        // As ssh does with its ProxyCommand, and Ctrl-C to all programs of a pipe.
        if (whole && !input.writableEnded) input.end(', all of it');
        stop.abort(reason);
      });
    });
    const input = new PassThrough();
    input.write('begun');
    const { code } = await weftWith(
      { input: { input, output: new PassThrough() }, signal: stop.signal },
      ...['connect', `redis:${port}`, '--data', data],
    );
    expect(await ended.promise).toBe(seen);
    expect(code).toBe(130);
  });

  test('at a signal that is seen right behind an end of stdin resets the service', async () => {
    const stop = new AbortController();
    const ended = Promise.withResolvers<string>();
    const { port, data } = await service((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => ended.resolve(error.code ?? ''));
      socket.on('end', () => ended.resolve('end'));
      socket.once('data', () => input.end());
    });
    const input = new PassThrough();
    input.write('begun');
    input.once('end', () => setImmediate(() => stop.abort()));
    const { code } = await weftWith(
      { input: { input, output: new PassThrough() }, signal: stop.signal },
      ...['connect', `redis:${port}`, '--data', data],
    );
    expect(await ended.promise).toBe('ECONNRESET');
    expect(code).toBe(130);
  });

  test('names the rule that denied it', async () => {
    const recent: object[] = [];
    const { port, data } = await service((socket) => socket.resetAndDestroy(), { flows: { recent } });
    recent.push(
      record(port, { rule: 'older', verdict: 'deny', outcome: 'denied', startedMs: NOW - 1 }),
      record(port, { rule: 'no-redis', verdict: 'deny', outcome: 'denied' }),
      record(port, { rule: 'other', verdict: 'deny', outcome: 'denied', protocol: 'udp' }),
    );
    expect(await weft('connect', `redis:${port}`, '--data', data)).toEqual({
      code: 3,
      out: '',
      err: `weft: one of this host's calls to redis:${port} was denied by no-redis at revision 12: host:build-3 may not call it\n`,
    });
  });

  test('says why nobody answered', async () => {
    const recent: object[] = [];
    const { port, data } = await service((socket) => socket.resetAndDestroy(), { flows: { recent } });
    recent.push(record(port, { outcome: 'no-instance', detail: 'no instance of redis is healthy' }));
    const { code, err } = await weft('connect', `redis:${port}`, '--data', data);
    expect({ code, err }).toEqual({
      code: 1,
      err: `weft: one of this host's calls to redis:${port}, by host:build-3, came to nothing, no-instance: no instance of redis is healthy\n`,
    });
  });

  test('names who does know, where the agent here does not', async () => {
    const { port, data } = await service((socket) => socket.resetAndDestroy());
    const { code, err } = await weft('connect', `redis:${port}`, '--data', data);
    expect(code).toBe(1);
    expect(err).toContain(`weft explain host:build-3 redis:${port} says whether`);
  });

  test('tells the problem of a port that the agent could not listen on', async () => {
    const problems = [{ code: 'port-taken', subject: 'redis:1/tcp', message: 'taken; free it' }];
    const data = await localAgent({ names: [{ ...redis, ports: ['1'] }], problems });
    expect(await weft('connect', 'redis:1', '--data', data)).toMatchObject({
      code: 1,
      err: 'weft: redis:1: taken; free it\n',
    });
  });

  test('says that nothing listens, and not that it is denied, where a service publishes what its programs open', async () => {
    const data = await localAgent({ names: [{ ...redis, ports: ['4000', '5001'], opened: ['5001'] }], problems: [] });
    const { code, err } = await weft('connect', 'redis:5003', '--data', data);
    expect({ code, err }).toEqual({
      code: 1,
      err: 'weft: no program of redis listens at port 5003/tcp now; it has ports: auto, and 4000, 5001 at this time\n',
    });
  });

  test.each([
    ['redis:7', 3, 'denied by builtin:undeclared-port at revision 12: redis declares 6379, and not 7/tcp'],
    [
      'mailer:25',
      1,
      'no web or private service mailer that this host knows of, and a worker is called by nobody; it knows redis, small',
    ],
    ['statsd:8125', 3, 'statsd declares 8125/udp, and not 8125/tcp; did you mean statsd:8125/udp?'],
    ['reddis:6379', 1, 'it knows redis, small, statsd; did you mean "redis"?'],
    ['small:1', 1, 'small has no address on this host'],
    ['redis:6379/udp', 2, 'connect carries TCP alone'],
    ['redis', 2, 'expected SERVICE:PORT'],
  ])('%s ends with %i: %s', async (to, code, words) => {
    const small = { ...redis, name: 'small.internal', address: null, ports: ['1'] };
    const statsd = { ...redis, name: 'statsd.internal', ports: ['8125/udp'] };
    const data = await localAgent({ names: [{ ...redis, ports: ['6379'] }, small, statsd] });
    const ended = await weft('connect', to, '--data', data);
    expect(ended.err).toContain(words);
    expect(ended).toMatchObject({ code, out: '' });
  });

  test('says that what control told since is not known, and names no more services than a person reads', async () => {
    const stale = { state: 'stale', staleSince: '2026-03-01T11:00:00.000Z' };
    const names = Array.from({ length: 30 }, (_, index) => ({ ...redis, name: `s${index}.internal`, ports: ['1'] }));
    const since = 'it does not hear control since 2026-03-01 11:00:00Z, and knows nothing newer';
    const data = await localAgent({ names, ...stale });
    const { err } = await weft('connect', 'later:1', '--data', data);
    expect(err).toContain(`it knows s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 20 more; ${since}`);
    expect((await weft('connect', 's1:2', '--data', data)).err).toContain(`s1 declares 1, and not 2/tcp; ${since}`);
    const revoked = await localAgent({ names: [], state: 'revoked' });
    expect((await weft('connect', 'later:1', '--data', revoked)).err).toContain(
      'it knows none yet; control took the membership of this host back',
    );
  });

  test('says that no agent runs', async () => {
    const { code, err } = await weft('connect', 'redis:6379', '--data', directory);
    expect({ code, err }).toEqual({
      code: 1,
      err: `weft: no agent runs that keeps its state in ${directory}; start it: weft up; or name where another agent of this host keeps it by --data\n`,
    });
  });
});
