import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { commandLine } from './command-line.fixture.ts';
import { localAgents } from './local-agent.fixture.ts';

const { directory, weft } = commandLine();
const localAgent = localAgents(directory);

const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Of an agent that answers every question so. */
async function answering(answer: object): Promise<string> {
  const server = createServer((socket) => socket.end(`${JSON.stringify(answer)}\n`));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(directory, 'agent.sock'), resolve));
  return directory;
}

test('reload tells what an option keeps from having effect', async () => {
  const changes = [
    { key: 'dns.upstream', before: null, after: '10.0.0.2:53', overriddenBy: '--dns-upstream' },
    { key: 'zone', before: 'eu-1', after: 'eu-2' },
  ];
  const data = await answering({ file: '/etc/weft/weft.yaml', changes });
  expect((await weft('reload', '--data', data)).out).toBe(
    '+ dns.upstream: 10.0.0.2:53 (without effect: restart without --dns-upstream)\n' +
      '~ zone: eu-1 -> eu-2\n' +
      '/etc/weft/weft.yaml is in force\n',
  );
  expect(JSON.parse((await weft('reload', '--json', '--data', data)).out)).toEqual({
    version: 1,
    file: '/etc/weft/weft.yaml',
    changes: [{ key: 'dns.upstream', before: null, after: '10.0.0.2:53', overridden_by: '--dns-upstream' }, changes[1]],
  });
});

test('an agent of a version before it, and one that is not there, are told in words', async () => {
  const old = 'is of a version that cannot read its file again; restart it to take up the file';
  // Before there were questions at all.
  expect(await weft('reload', '--data', await localAgent())).toMatchObject({
    code: 1,
    err: expect.stringContaining(old),
  });
  const unknown = await answering({ error: { code: 'question-unknown', message: 'it does not know' } });
  expect(await weft('reload', '--data', unknown)).toMatchObject({ code: 1, err: expect.stringContaining(old) });
  expect(await weft('reload', '--data', join(directory, 'nobody'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('no agent runs'),
  });
});
