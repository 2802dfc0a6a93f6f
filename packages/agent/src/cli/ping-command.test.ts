import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { PingAnswer } from '../observe/local-question.ts';
import { until } from '../until.fixture.ts';
import { commandLine } from './command-line.fixture.ts';
import { localAgents } from './local-agent.fixture.ts';

const { directory, weftWith } = commandLine();
const localAgent = localAgents(directory);
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

const ANSWER: PingAnswer = {
  path: { roundTripUs: 1_240, address: '10.0.0.3:7410', dialled: true, accepted: 1, pathSize: 1_252 },
};

/** Ctrl-C as soon as that much is said. */
async function interrupted(
  said: { out: string; err: string },
  stop: AbortController,
  isTime: () => boolean,
  ...args: string[]
) {
  const ended = weftWith({ signal: stop.signal, said }, 'ping', 'data-1', ...args);
  await until(isTime);
  stop.abort();
  return await ended;
}

test('ended before its count, sums up what it found until then', async () => {
  const data = await localAgent({}, { ping: ANSWER });
  const said = { out: '', err: '' };
  const isTime = () => said.out.includes('1.24 ms');
  const { code, out, err } = await interrupted(said, new AbortController(), isTime, '--count', '10', '--data', data);
  expect({ code, err }).toEqual({ code: 130, err: 'weft: interrupted\n' });
  expect(out).toContain('1 sent, 1 answered, min/avg/max 1.24/1.24/1.24 ms\n');
});

test('does not wait for an answer once it is ended', async () => {
  let asked = false;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    asked = true;
    closes.push(() => socket.destroy());
  });
  const data = join(directory, 'silent');
  await mkdir(data);
  await new Promise<void>((resolve) => server.listen(join(data, 'agent.sock'), resolve));
  closes.push(() => server.close());
  const stop = new AbortController();
  const said = { out: '', err: '' };
  const { code, out } = await interrupted(said, stop, () => asked, '--data', data);
  expect({ code, out }).toEqual({ code: 130, out: '' });
});

test('an agent of an older version is told of, and not what it answered', async () => {
  const data = await localAgent({});
  const { code, out, err } = await weftWith({}, 'ping', 'data-1', '--data', data);
  expect({ code, out, err }).toEqual({
    ...{ code: 1, out: '' },
    err: expect.stringContaining(
      'is of an older version, which does not try the way to a host; restart it by this one',
    ),
  });
});

test('a service, and a host of another network, are told apart from a host that is not there', async () => {
  const data = await localAgent({}, { ping: { error: { code: 'no-such-peer', message: 'no such peer' } } });
  const ping = async (...words: string[]) => (await weftWith({}, 'ping', ...words, '--data', data)).err;
  expect(await ping('redis')).toContain("redis is a service, and ping takes a host's name: weft services has where");
  expect(await ping('data-1', '--network', 'staging')).toContain(
    'the agent here is build-3 in network prod, and is told of no host of staging',
  );
  expect(await ping('data-1', '--network', 'prod')).toContain('no such peer');
  const answers = await localAgent({}, { ping: ANSWER });
  const other = await weftWith({ env: { WEFT_NETWORK: 'staging' } }, 'ping', 'data-1', '--data', answers);
  expect({ ...other, err: '' }).toEqual({ code: 1, out: '', err: '' });
});
