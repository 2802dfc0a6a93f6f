import { spawnSync } from 'node:child_process';
import { parseEnv } from 'node:util';
import { expect, test } from 'vitest';
import { commandLine } from './command-line.fixture.ts';
import { localAgents } from './local-agent.fixture.ts';

const { directory, weft } = commandLine();
const localAgent = localAgents(directory);

const at = { kind: 'private', instances: 1, healthy: 1 };
const names = [
  { ...at, name: 'redis.internal', address: '127.80.0.1', ports: ['6379'] },
  { ...at, name: 'rabbit-mq.internal', address: '127.80.0.2', ports: ['5672', '15672', '5672/udp', '9000-9010/tcp'] },
  { ...at, name: 'media.internal', address: '127.80.0.3', ports: ['9000-9010/udp'] },
  { ...at, name: 'idle.internal', address: '127.80.0.4', ports: [] },
  { ...at, name: 'beyond.internal', address: null, ports: ['1'] },
];
const variables = {
  REDIS_HOST: '127.80.0.1',
  REDIS_PORT: '6379',
  RABBIT_MQ_HOST: '127.80.0.2',
  RABBIT_MQ_PORT_5672: '5672',
  RABBIT_MQ_PORT_15672: '15672',
  RABBIT_MQ_PORT_5672_UDP: '5672',
  RABBIT_MQ_PORTS_9000_9010_TCP: '9000-9010',
  MEDIA_HOST: '127.80.0.3',
  MEDIA_PORTS: '9000-9010',
  IDLE_HOST: '127.80.0.4',
};

test('env gives every service that this host reaches, as dotenv reads it', async () => {
  const { code, out } = await weft('env', '--data', await localAgent({ names }));
  expect({ code, variables: parseEnv(out) }).toEqual({ code: 0, variables });
});

test('as a shell reads it', async () => {
  const { out } = await weft('env', '--format', 'shell', '--data', await localAgent({ names }));
  const script = `${out}env`;
  const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8', env: { PATH: process.env.PATH } });
  expect(parseEnv(stdout)).toMatchObject(variables);
});

test('and as JSON', async () => {
  const data = await localAgent({ names });
  for (const args of [['--format', 'json'], ['--json']])
    expect(JSON.parse((await weft('env', ...args, '--data', data)).out)).toEqual({ version: 1, variables });
});

test('env of one service gives that alone', async () => {
  const data = await localAgent({ names });
  expect((await weft('env', 'redis', '--data', data)).out).toBe('REDIS_HOST=127.80.0.1\nREDIS_PORT=6379\n');
  expect(await weft('env', 'redis:6379', '--data', data)).toMatchObject({
    code: 2,
    err: `weft: SERVICE is a service's name alone; found "redis:6379"\n`,
  });
  expect(await weft('env', 'nobody', '--data', data)).toMatchObject({ code: 1, out: '' });
  expect((await weft('env', '--format', 'toml', '--data', data)).err).toContain(
    'Allowed choices are dotenv, json, shell',
  );
});
