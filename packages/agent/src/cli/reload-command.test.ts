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
    problems: [],
  });
});

test('reload names the problems that came with it, and fails where a part of the file is not in force', async () => {
  const changes = [{ key: 'gateway.http', before: null, after: '0.0.0.0:80' }];
  const passing = { code: 'no-upstream', subject: 'agent', message: 'no resolver' };
  const taken = { code: 'gateway-listen', subject: '0.0.0.0:80', message: 'the port is taken' };
  const data = await answering({ file: 'weft.yaml', changes, problems: [passing, taken] });
  expect(await weft('reload', '--data', data)).toEqual({
    code: 1,
    out: '+ gateway.http: 0.0.0.0:80\nweft.yaml is in force, but for what the problems say\n',
    err: 'problem    agent: no resolver (no-upstream)\nproblem    0.0.0.0:80: the port is taken (gateway-listen)\n',
  });
  const told = await weft('reload', '--json', '--data', data);
  expect([told.code, JSON.parse(told.out)]).toMatchObject([1, { problems: [passing, taken] }]);
  for (const server of servers.splice(0)) server.close();
  const again = await answering({ file: 'weft.yaml', changes: [], problems: [taken] });
  expect(await weft('reload', '--data', again)).toMatchObject({
    ...{ code: 1, out: 'weft.yaml: nothing has changed, and not all of it is in force\n' },
    err: expect.stringContaining('the port is taken (gateway-listen)\n'),
  });
  for (const server of servers.splice(0)) server.close();
  const well = await answering({ file: 'weft.yaml', changes, problems: [passing] });
  expect(await weft('reload', '--data', well)).toMatchObject({
    code: 0,
    out: expect.stringContaining('is in force\n'),
  });
});

test('an agent of a version before it, and one that is not there, are told in words', async () => {
  const old =
    'is of an older version, which cannot read its file again; restart it by this one, which takes up the file';
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
