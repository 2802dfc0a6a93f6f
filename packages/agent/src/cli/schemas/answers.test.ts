import { PassThrough } from 'node:stream';
import type { FlowRecord } from '@weft/proto';
import {
  actionCodec,
  breakPointCodec,
  durationToWire,
  flowToWire,
  meshToWire,
  openFlowToWire,
  rolesToWire,
  serviceToWire,
  timestampToWire,
} from '@weft/proto/wire';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Command } from 'commander';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseMeshFile } from '../../config/mesh-file.ts';
import type { PingAnswer } from '../../observe/local-question.ts';
import { commandLine, NOW } from '../command-line.fixture.ts';
import { localAgents } from '../local-agent.fixture.ts';
import { build } from '../program.ts';
import { checkAnswer } from './answer.fixture.ts';
import { ANSWERING, type Answering, answerSchema } from './index.ts';

const { directory, weft, weftWith, file, serve } = commandLine();
const localAgent = localAgents(directory);

const MESH = `network: prod
services:
  web: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com], responseTimeout: 90s } }
  redis: { kind: private, ports: [6379] }
policies: [{ name: in, action: deny, from: [web], to: [redis] }]
`;
const time = timestampToWire(NOW);
const changes = [{ operation: 1, subject: 'service redis', detail: 'ports' }];
const result = { revision: 4, changes, warnings: [{ field: 'policies[0].to', message: 'selects nothing' }] };
const told = { revision: 4, hosts: ['build-3'] };
const flow: FlowRecord = {
  ...{ id: '0123456789abcdef', startedMs: NOW, durationMs: 5, source: 'web', sourceHost: 'build-3', service: 'redis' },
  ...{ instance: 'redis/0', destinationHost: 'build-4', port: 6379, protocol: 'tcp', verdict: 'deny', rule: 'in' },
  ...{ revision: 4, outcome: 'denied', bytesSent: 1, bytesReceived: 0, zone: 'eu', detail: 'policy in denies' },
};
const peers = [{ host: 'build-4', tunnels: 1, roundTrip: durationToWire(0.3), pathSize: 1_252 }];
const notListening = [{ protocol: 1, first: 6379, last: 6379 }];
const { mesh } = parseMeshFile('mesh.yaml', MESH);
const services = mesh.services.map((service) => ({
  service: serviceToWire(service),
  instances: [{ host: 'build-3', healthy: true }, { notListening }],
}));

beforeEach(() =>
  serve({
    createToken: (_call, answer) => answer(null, { token: 'weft1.abc', tokenId: 'tk1', expireTime: time }),
    listTokens: (_call, answer) =>
      answer(null, {
        tokens: [{ tokenId: 'tk1', services: ['web'], roles: rolesToWire(['gateway']), expireTime: time }],
      }),
    revokeToken: (_call, answer) => answer(null, { ...told, stragglers: ['build-4'] }),
    revokeAgent: (_call, answer) => answer(null, { ...told, agentId: 'a1', joinedAlike: ['build-4'] }),
    apply: (_call, answer) => answer(null, { result }),
    getMesh: (_call, answer) => answer(null, { mesh: meshToWire(mesh), revision: 4 }),
    listRevisions: (_call, answer) => answer(null, { revisions: [{ revision: 4, applyTime: time, changes }] }),
    listAudit: (_call, answer) =>
      answer(null, { entries: [{ sequence: 1, time, actor: { kind: 1 }, action: 'apply', subject: 'network prod' }] }),
    getStatus: (_call, answer) =>
      answer(null, {
        ...{ version: '0.1.0', startTime: time, olderData: { ...told, sinceTime: time } },
        problems: [{ code: 'data-not-written', message: 'the disk is full', sinceTime: time }],
        networks: [{ network: 'prod', revision: 4, behind: ['build-4'], behindCount: 1 }],
      }),
    deleteNetwork: (_call, answer) => answer(null, told),
    listServices: (_call, answer) => answer(null, { services }),
    listAgents: (_call, answer) =>
      answer(null, {
        agents: [
          { agentId: 'a2', host: 'build-4' },
          {
            ...{ agentId: 'a1', host: 'build-3', lastSeenTime: time, roles: rolesToWire(['gateway']) },
            telemetry: { sendTime: time, interval: durationToWire(5_000), peers },
            report: {
              endpoints: ['10.0.0.3:7410'],
              instances: [{ service: 'web', notListening }],
              problems: [{ code: 'port-taken', subject: 'redis:6379', message: 'taken' }],
            },
          },
        ],
      }),
    listFlows: (_call, answer) => answer(null, { flows: [flowToWire(flow)] }),
    listOpenFlows: (_call, answer) =>
      answer(null, {
        hosts: [{ host: 'build-3', state: 1, flows: [openFlowToWire({ ...flow, ageMs: 5, idleMs: 5 }, NOW)] }],
      }),
    explain: (_call, answer) =>
      answer(null, {
        ...{ verdict: actionCodec.toWire('deny'), rule: 'in', revision: 4, reason: 'policy in denies' },
        ...{ breakPoint: breakPointCodec.toWire('denied'), steps: ['looked'], refusedHosts: ['build-3'] },
      }),
  }),
);

const ping: PingAnswer = {
  path: { roundTripUs: 700, address: '10.0.0.9:7410', dialled: true, accepted: 0, pathSize: 1_252 },
};
const LOCAL = { ping, reload: { file: 'weft.yaml', changes: [{ key: 'zone', before: null, after: 'eu' }] } };

/** What follows the words of each command, where it needs more. */
const MORE: Partial<Record<Answering, readonly string[]>> = {
  'token revoke': ['tk1'],
  apply: ['-f', 'MESH', '--yes'],
  diff: ['-f', 'MESH'],
  rollback: ['3', '--yes'],
  'network remove': ['prod', '--yes', 'prod'],
  lint: ['MESH'],
  status: ['--data', 'AGENT'],
  check: ['--data', 'AGENT'],
  reload: ['--data', 'AGENT'],
  ping: ['build-9', '--count', '1', '--data', 'AGENT'],
  forward: ['0:redis:6379', '--data', 'AGENT'],
  env: ['--data', 'AGENT'],
  explain: ['web', 'redis:6379'],
  revoke: ['build-3'],
};
/** A schema may know more forms than one, each of which is to be seen. */
const AGAIN: readonly (readonly [Answering, ...string[]])[] = [['flows', '--open']];

function commandsWithJson(): string[] {
  const bytes = () => ({ input: new PassThrough(), output: new PassThrough() });
  const terminal = { out: () => {}, err: () => {}, outColors: false, errColors: false, env: {}, now: () => NOW, bytes };
  const from = (command: Command, words: readonly string[]): string[] => [
    ...(command.options.some(({ long }) => long === '--json') ? [words.join(' ')] : []),
    ...command.commands.flatMap((child) => from(child, [...words, child.name()])),
  ];
  return from(
    build(terminal, new AbortController().signal, false, () => {}),
    [],
  );
}

describe('with --json', () => {
  test('each command that takes it has a schema in cli/schemas, and there is none for another', () => {
    expect(new Set([...commandsWithJson(), 'error'])).toEqual(new Set(ANSWERING));
  });

  test.each([...commandsWithJson().map((words): readonly string[] => [words]), ...AGAIN])(
    '%s answers as its schema says, with its version',
    async (words, ...others) => {
      const command = words as Answering;
      const said = { out: '', err: '' };
      const stop = new AbortController();
      const places: Record<string, string> = {
        MESH: await file('mesh.yaml', MESH),
        AGENT: await localAgent({}, LOCAL),
      };
      const more = [...(MORE[command] ?? []), ...others].map((word) => places[word] ?? word);
      const ended = weftWith({ signal: stop.signal, said }, ...command.split(' '), ...more, '--json');
      if (command === 'forward') {
        await expect.poll(() => said.out).not.toBe('');
        stop.abort();
      }
      expect(await ended).toMatchObject({ code: expect.toBeOneOf([0, 3, 4]) });
      // The fixture holds it against the schema, too, for every test of a command; here it is to have been something.
      checkAnswer(command, said.out);
      expect(JSON.parse(said.out)).toMatchObject({ version: 1 });
    },
  );

  test('an error is as its schema says', async () => {
    const { code, err } = await weft('explain', 'WEB', 'redis:1', '--json');
    expect(code).toBe(2);
    checkAnswer('error', err);
  });
});

test('weft schema prints each, as JSON Schema 2020-12 that takes fields of a later version', async () => {
  for (const command of ANSWERING) {
    const { code, out } = await weft('schema', ...command.split(' '));
    expect({ code, schema: JSON.parse(out) }).toEqual({ code: 0, schema: answerSchema(command) });
    expect(answerSchema(command)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
  }
  const { out } = await weft('token', 'list', '--json');
  const validate = new Ajv2020().compile(answerSchema('token list'));
  expect(validate({ ...(JSON.parse(out) as object), later: 1 })).toBe(true);
  expect(validate({ version: 2, tokens: [] })).toBe(false);
  expect(() => checkAnswer('token list', '{"version": 1, "tokens": [], "later": 1}')).toThrow('additional properties');
});
